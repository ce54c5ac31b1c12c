import { statfs } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem, type } from 'node:os';
import { workerd } from './workerd.ts';

/** What a timing depends on, and nothing that says whose machine it was. */
export interface Machine {
	cpu: string;
	cores: number;
	memoryGiB: number;
	kernel: string;
	/** Of the folder where SQLite writes. */
	fileSystem: string;
	workerd: string;
	date: string;
}

/** The magic numbers of Linux, see statfs(2). */
const FILE_SYSTEMS = new Map([
	[0xef53, 'ext4'],
	[0x0102_1994, 'tmpfs'],
	[0x5846_5342, 'xfs'],
	[0x9123_683e, 'btrfs'],
	[0x794c_7630, 'overlayfs'],
]);

export async function describeMachine(): Promise<Machine> {
	const { type: magic } = await statfs(tmpdir());
	return {
		cpu: cpus()[0]?.model ?? 'unknown',
		cores: cpus().length,
		memoryGiB: Math.round(totalmem() / 1024 ** 3),
		kernel: `${type()} ${release()}`,
		fileSystem: FILE_SYSTEMS.get(magic) ?? `0x${magic.toString(16)}`,
		workerd: workerd.version,
		date: new Date().toISOString().slice(0, 10),
	};
}

export function machineLine(machine: Machine): string {
	const { cpu, cores, memoryGiB, kernel, fileSystem, date } = machine;
	return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, SQLite on ${fileSystem}, workerd ${machine.workerd}, ${date}`;
}

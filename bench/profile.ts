import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { Inspector, type SelfTime } from './inspector.ts';
import { rowOf, type RowName } from './rows.ts';
import { FULL_SIZES, measureStreams, withDriver } from './scenarios.ts';
import type { Subject } from './subjects.ts';

/** Functions that are listed of each row. */
const TOP = 15;

/**
 * Where the CPU time of each `streams` row goes, in object and Worker together, for they share an isolate. What the runtime
 * does for a JavaScript function (SQLite, sockets, RPC) counts as that function's, or as `(program)`.
 * @returns lists, as text
 */
export async function profile(
	subject: Subject,
	sizes: readonly number[],
	rows: readonly RowName[],
): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
	try {
		const file = await bundle(subject, folder);
		const lists: string[] = [];
		for (const n of sizes) {
			await withDriver(
				file,
				async (driver) => {
					const inspector = await Inspector.connect(driver.process.inspectorPort);
					const wanted = rows.filter((row) => rowOf(row).scenario === 'streams');
					await measureStreams(driver, n, wanted, FULL_SIZES, async (row, work) => {
						if (row === 'memory') return 0;
						await inspector.startProfile();
						const ms = await work();
						lists.push(
							list(`${subject}, ${n}: ${rowOf(row).title}`, ms, await inspector.stopProfile()),
						);
						return ms;
					});
					inspector.close();
				},
				{ inspector: true },
			);
		}
		return lists.join('\n\n');
	} finally {
		await rm(folder, { recursive: true, force: true, maxRetries: 3 });
	}
}

function list(title: string, ms: number, times: SelfTime[]): string {
	const total = times.reduce((sum, time) => sum + time.ms, 0);
	const lines = times
		.slice(0, TOP)
		.map(
			({ name, ms: self }) =>
				`${self.toFixed(0).padStart(7)} ms ${((100 * self) / total).toFixed(1).padStart(5)} %  ${name}`,
		);
	return [`${title}: ${ms.toFixed(0)} ms, self time`, ...lines].join('\n');
}

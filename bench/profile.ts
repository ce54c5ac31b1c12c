import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type Frame, Inspector, type SelfTime } from './inspector.ts';
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
		const source = new Source(await readFile(file, 'utf8'));
		const lists: string[] = [];
		for (const n of sizes) {
			await withDriver(file, { clock: 'elapsed', inspector: true }, async (driver) => {
				const inspector = await Inspector.connect(driver.process.inspectorPort);
				const wanted = rows.filter((row) => rowOf(row).scenario === 'streams');
				await measureStreams(driver, n, wanted, FULL_SIZES, async (row, work) => {
					if (row === 'memory') return 0;
					await inspector.startProfile();
					const ms = await work();
					const title = `${subject}, ${n} streams: ${rowOf(row).title}`;
					lists.push(list(title, ms, await inspector.stopProfile(), source));
					return ms;
				});
				inspector.close();
			});
		}
		return lists.join('\n\n');
	} finally {
		await rm(folder, { recursive: true, force: true, maxRetries: 3 });
	}
}

function list(title: string, ms: number, times: SelfTime[], source: Source): string {
	const total = times.reduce((sum, time) => sum + time.ms, 0);
	const lines = times.slice(0, TOP).map(({ frame, caller, ms: self }) => {
		const percent = ((100 * self) / total).toFixed(1);
		const by = caller ? ` < ${source.describe(caller)}` : '';
		return `${self.toFixed(0).padStart(7)} ms ${percent.padStart(5)} %  ${source.describe(frame)}${by}`;
	});
	return [`${title}: ${ms.toFixed(0)} ms, self time`, ...lines].join('\n');
}

/** A bundle, in which esbuild has written above each module which file it was. */
class Source {
	#lines: string[];

	constructor(text: string) {
		this.#lines = text.split('\n');
	}

	/** The name of a function and its file; of one without a name the line where it begins. */
	describe({ name, line }: Frame): string {
		if (line === undefined) return name;
		const what = name === '(anonymous)' ? `${name} ${this.#lines[line]?.trim()}` : name;
		const module = this.#lines
			.slice(0, line)
			.findLast((text) => /^\/\/ \S+\.[cm]?[jt]s$/.test(text));
		return `${what} (${module?.slice(3) ?? 'bundle'})`;
	}
}

/** Tables in pages that are computed: `<!-- generated: NAME -->` … `<!-- end -->`. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Measured } from '../../bench/benchmark.ts';
import { LIFE } from '../../bench/life.ts';
import { PRICE } from '../../bench/model.ts';
import { SUBJECTS } from '../../bench/subjects.ts';
import { timesTable } from '../../bench/table.ts';
import { groups } from './pages.ts';
import { ROOT } from './quotes.ts';

const GENERATED = /(<!-- generated: (\S+) -->\n)[\s\S]*?(?=<!-- end -->)/g;

/** All error codes, as `src/errors.ts` explains them. */
function codes(): string {
	const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8');
	const hasPage = existsSync(join(ROOT, 'docs/errors.md'));
	const lines = [...source.matchAll(/\/\*\* (.*) \*\/\n\t'([A-Z_]+)',/g)].map(
		([, meaning = '', code = '']) => {
			const name = hasPage ? `[\`${code}\`](errors.md#${code.toLowerCase()})` : `\`${code}\``;
			return `| ${name} | ${meaning} |`;
		},
	);
	return ['| code | |', '|---|---|', ...lines].join('\n');
}

/** All pages of the documentation. */
function contents(): string {
	return groups()
		.map(({ title, pages }) => {
			const lines = pages.map((page) => `- [${page.title}](${page.name}.md): ${page.summary}`);
			return `## ${title}\n\n${lines.join('\n')}\n`;
		})
		.join('\n');
}

/** The same for the README, in a few lines, and the examples. */
function readmePages(): string {
	const rows = groups().map(({ title, pages: ofGroup }) => {
		const links = ofGroup.map((page) => `[${page.title}](docs/${page.name}.md)`);
		return `| ${title} | ${links.join(' · ')} |`;
	});
	const examples = globSync('examples/*/README.md', { cwd: ROOT }).toSorted();
	const ofExamples = examples.map((path) => {
		const [, title = path] = /^# (.*)$/m.exec(readFileSync(join(ROOT, path), 'utf8')) ?? [];
		return `[${title}](${dirname(path)})`;
	});
	return ['| | |', '|---|---|', ...rows, `| Examples | ${ofExamples.join(' · ')} |`].join('\n');
}

/** What a million sessions cost that live as `bench/life.ts` says, behind a gateway, with what is known of them in the object. */
function money(): string {
	const asked: readonly [string, number, number][] = [
		['requests of the Worker', LIFE.workerRequests, PRICE.workerRequest],
		['requests of the object', LIFE.objectRequests, PRICE.objectRequest],
		['rows written', LIFE.rowsWritten, PRICE.rowWritten],
		['rows written when it is forgotten', LIFE.rowsWrittenLater, PRICE.rowWritten],
	];
	const dollars = (price: number) => `$${(price * 1e6).toFixed(2)}`;
	const lines = asked.map(
		([what, count, price]) =>
			`| ${what} | ${Number(count.toFixed(2))} | ${dollars(price)} | ${dollars(count * price)} |`,
	);
	const sum = asked.reduce((total, [, count, price]) => total + count * price, 0);
	return [
		'| | a session | a million of them | a million sessions |',
		'|---|---:|---:|---:|',
		...lines,
		`| in all | | | ${dollars(sum)} |`,
	].join('\n');
}

/** What a million sessions cost by where their data is, as `test/worker/info/lives.test.ts` counts it. */
function lives(): string {
	const counted = readFileSync(join(ROOT, 'test/worker/info/lives.test.ts'), 'utf8');
	const prices = new Map(
		[...counted.matchAll(/'([\w-]+)',\s*\{[^}]*\},\s*([\d.]+),?\s*\]/g)].map(
			([, subject = '', price]) => [subject, `$${Number(price).toFixed(2)}`],
		),
	);
	const of = (subject: string) => {
		const price = prices.get(subject);
		if (price === undefined) throw new Error(`lives.test.ts has no price of ${subject}.`);
		return price;
	};
	return [
		'| a million sessions | KV | the object |',
		'|---|---:|---:|',
		`| behind a gateway | ${of('kv-gateway')} | ${of('object-gateway')} |`,
		`| without one | ${of('kv')} | ${of('object')} |`,
		`| with version 0.3 | ${of('peer')} | – |`,
	].join('\n');
}

/** What `npm run bench` has measured, with 5,000 streams in one object. */
function times(): string {
	const results: { measured: Measured[] } = JSON.parse(
		readFileSync(join(ROOT, 'bench/results.json'), 'utf8'),
	);
	const ofOneSize = results.measured.filter(({ n }) => n === 5_000);
	return timesTable(ofOneSize, SUBJECTS);
}

const TABLES: Readonly<Record<string, () => string>> = {
	codes,
	contents,
	lives,
	money,
	pages: readmePages,
	times,
};

/** The page with its tables computed anew. */
export function withTables(page: string): string {
	return page.replaceAll(GENERATED, (_, mark: string, name: string) => {
		const table = TABLES[name];
		if (!table) throw new Error(`There is no table ${name}.`);
		return `${mark}${table()}\n`;
	});
}

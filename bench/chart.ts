import type { Measured } from './benchmark.ts';
import { rowOf } from './rows.ts';
import { median } from './statistics.ts';
import { SUBJECTS, type Subject } from './subjects.ts';

const WIDTH = 720;
const LABELS = 130;
const NUMBERS = 80;
const BAR = 16;
const LINE = 22;
const TITLE = 34;

const COLOURS: Record<Subject, string> = {
	peer: '#b7791f',
	ours: '#2b6cb0',
	'ours-log-off': '#63a4e0',
	bare: '#a0aec0',
	'bare-calls': '#8795a8',
	'durable-floor': '#5f6f84',
};

/** Readable on white and on black: GitHub shows a README in either, and tells an SVG which. */
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #1f2328; }
	.title { font-weight: 600; }
	.line { stroke: #d0d7de; }
	@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .line { stroke: #3d444d; } }`;

/** Bars of one row, from 0 on, for one N. `undefined` where nothing was measured. */
export function chart({ row, n, values }: Measured): string | undefined {
	const medians = SUBJECTS.flatMap((subject) => {
		const value = median(values[subject] ?? []);
		return value === undefined ? [] : [{ subject, value }];
	});
	if (medians.length === 0) return undefined;
	const { title, unit } = rowOf(row);
	const of = n === undefined ? '' : `, ${n.toLocaleString('en')} streams`;
	const heading = `${title.replaceAll('`', '')}${of} (${unit}, less is better)`;
	const longest = Math.max(...medians.map(({ value }) => value));
	const bars = medians.map(({ subject, value }) => ({
		name: subject,
		colour: COLOURS[subject],
		length: Math.max(value, 0) / longest,
		label: label(value),
	}));
	return barChart(heading, bars);
}

export interface Bar {
	name: string;
	colour: string;
	/** From 0 to 1, of the longest there is room for. */
	length: number;
	/** What is written behind it. */
	label: string;
}

/** Bars, as an SVG. */
export function barChart(heading: string, bars: readonly Bar[]): string {
	const height = TITLE + bars.length * LINE + 8;
	const drawn = bars.map((bar, index) => {
		const y = TITLE + index * LINE;
		const width = (WIDTH - LABELS - NUMBERS) * bar.length;
		return `	<text x="${LABELS - 8}" y="${y + 13}" text-anchor="end">${bar.name}</text>
	<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${bar.colour}"/>
	<text x="${(LABELS + width + 6).toFixed(1)}" y="${y + 13}">${bar.label}</text>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${heading}">
	<style>${STYLE}</style>
	<text class="title" x="8" y="20">${heading}</text>
${drawn.join('\n')}
	<line class="line" x1="${LABELS}" y1="${TITLE - 4}" x2="${LABELS}" y2="${height - 6}"/>
</svg>
`;
}

function label(value: number): string {
	return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

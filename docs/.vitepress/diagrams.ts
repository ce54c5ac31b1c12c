/** The pictures of the documentation, as SVG: `npm run docs:write` draws them. */

/** Each picture has a background of its own, so that it can be read on any page, light or dark. */
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #1f2328; }
	.name { font-weight: 600; }
	.small { font-size: 11.5px; fill: #57606a; }
	.back { fill: #ffffff; }
	.box { fill: #f6f8fa; stroke: #8c959f; }
	.ours { fill: #ddf4ff; stroke: #2b6cb0; }
	.lane { stroke: #d0d7de; }
	.line { stroke: #57606a; fill: none; }
	.socket { stroke: #2b6cb0; stroke-width: 2; fill: none; }
	.head { fill: #57606a; }
	@media (prefers-color-scheme: dark) {
		text { fill: #e6edf3; } .small { fill: #9198a1; } .back { fill: #0d1117; }
		.box { fill: #151b23; stroke: #656c76; } .ours { fill: #0c2d48; stroke: #63a4e0; }
		.lane { stroke: #3d444d; } .line { stroke: #9198a1; } .socket { stroke: #63a4e0; } .head { fill: #9198a1; }
	}`;

interface Size {
	width: number;
	height: number;
}

function svg({ width, height }: Size, title: string, shapes: readonly string[]): string {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
	<style>${STYLE}</style>
	<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerUnits="userSpaceOnUse" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>
	<rect class="back" width="${width}" height="${height}" rx="8"/>
${shapes.map((shape) => `	${shape}`).join('\n')}
</svg>
`;
}

function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

type Anchor = 'start' | 'middle' | 'end';

function label(x: number, y: number, text: string, style = '', anchor: Anchor = 'middle'): string {
	return `<text${style && ` class="${style}"`} x="${x}" y="${y}" text-anchor="${anchor}">${escaped(text)}</text>`;
}

/** Which kind of way: a call with an answer, or a WebSocket that stays open. */
type Kind = 'line' | 'socket';

function arrow(
	from: readonly [number, number],
	to: readonly [number, number],
	kind: Kind = 'line',
	isDashed = false,
): string {
	const dashes = isDashed ? ' stroke-dasharray="4 3"' : '';
	return `<line class="${kind}" x1="${from[0]}" y1="${from[1]}" x2="${to[0]}" y2="${to[1]}" marker-end="url(#head)"${dashes}/>`;
}

interface Box extends Size {
	x: number;
	y: number;
	name: string;
	lines?: readonly string[];
	isOurs?: boolean;
}

function box({ x, y, width, height, name, lines = [], isOurs }: Box): string[] {
	const middle = x + width / 2;
	const top = y + height / 2 - lines.length * 8 + 4;
	return [
		`<rect class="${isOurs ? 'ours' : 'box'}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`,
		label(middle, top, name, 'name'),
		...lines.map((line, index) => label(middle, top + 17 * (index + 1), line, 'small')),
	];
}

/** One step of a sequence: a message from one lane to another, or a note that stands across all. */
type Step = { from: number; to: number; text: string; is?: 'answer' | 'socket' } | { note: string };

const LANE_TOP = 44;
const STEP = 34;

/** Who says what to whom, from top to bottom. */
function sequence(title: string, lanes: readonly string[], steps: readonly Step[]): string {
	const distance = 230;
	const side = 90;
	const width = 2 * side + (lanes.length - 1) * distance;
	const height = LANE_TOP + (steps.length + 1) * STEP;
	const x = (lane: number) => side + lane * distance;
	const shapes = lanes.flatMap((name, lane) => [
		`<line class="lane" x1="${x(lane)}" y1="${LANE_TOP - 8}" x2="${x(lane)}" y2="${height - 14}"/>`,
		...box({ x: x(lane) - 78, y: 10, width: 156, height: 28, name, isOurs: lane > 0 }),
	]);
	steps.forEach((step, index) => {
		const y = LANE_TOP + (index + 1) * STEP;
		if ('note' in step) {
			shapes.push(
				`<rect class="box" x="12" y="${y - 18}" width="${width - 24}" height="24" rx="4"/>`,
				label(width / 2, y - 2, step.note, 'small'),
			);
			return;
		}
		const [from, to] = [x(step.from), x(step.to)];
		shapes.push(
			arrow([from, y], [to, y], step.is === 'socket' ? 'socket' : 'line', step.is === 'answer'),
			label((from + to) / 2, y - 6, step.text, 'small'),
		);
	});
	return svg({ width, height }, title, shapes);
}

function overview(): string {
	const shapes = [
		...box({ x: 16, y: 30, width: 130, height: 52, name: 'Client A', lines: ['holds a stream'] }),
		...box({ x: 16, y: 120, width: 130, height: 52, name: 'Client B', lines: ['calls a tool'] }),
		...box({
			x: 16,
			y: 210,
			width: 130,
			height: 52,
			name: 'Another Worker',
			lines: ['cron, queue, admin'],
		}),
		...box({
			x: 280,
			y: 30,
			width: 170,
			height: 52,
			name: 'Worker instance 1',
			lines: ['gateway, transport'],
		}),
		...box({
			x: 280,
			y: 120,
			width: 170,
			height: 52,
			name: 'Worker instance 2',
			lines: ['gateway, transport'],
		}),
		...box({
			x: 580,
			y: 80,
			width: 180,
			height: 132,
			name: 'SyncLayer',
			lines: ['a Durable Object', 'sessions', 'sockets that hibernate', 'log of what was sent'],
			isOurs: true,
		}),
		arrow([280, 56], [148, 56]),
		label(214, 48, 'GET: event stream', 'small'),
		arrow([146, 146], [278, 146]),
		label(212, 138, 'POST', 'small'),
		arrow([580, 108], [452, 60], 'socket'),
		label(530, 66, 'WebSocket', 'small'),
		arrow([450, 146], [578, 146]),
		label(514, 138, 'RPC: broadcast', 'small'),
		`<path class="line" d="M146 236 H520 L578 190" marker-end="url(#head)"/>`,
		label(340, 228, 'RPC: notify', 'small'),
	];
	return svg(
		{ width: 776, height: 286 },
		'Client A holds its stream at one Worker instance, client B calls another one. Both instances, and any other Worker, share a Durable Object with sessions, sockets and a log: what instance 2 sends travels through it to client A.',
		shapes,
	);
}

function homes(): string {
	const names = ['home 0', 'home 1', 'home 2', 'home 3'];
	const shapes = [
		...box({
			x: 16,
			y: 92,
			width: 170,
			height: 52,
			name: 'any Worker instance',
			lines: ['reads the home from the id'],
		}),
		...names.flatMap((name, index) => [
			...box({
				x: 420,
				y: 12 + index * 54,
				width: 240,
				height: 42,
				name,
				lines: [`session ids ${index}.…`],
				isOurs: true,
			}),
			arrow([186, 118], [418, 33 + index * 54], index === 2 ? 'socket' : 'line', index !== 2),
		]),
		label(300, 26, 'to all: each home once', 'small'),
		label(250, 206, 'to session 2.…: one call', 'small'),
	];
	return svg(
		{ width: 676, height: 236 },
		'The home of a session stands in its id, so any instance calls the right object without a look-up; a message to all goes to each home once.',
		shapes,
	);
}

const [CLIENT, ONE, OBJECT, TWO] = [0, 1, 2, 3];
const LANES = ['client', 'Worker instance 1', 'SyncLayer', 'Worker instance 2'];

const notification = () =>
	sequence('A stream opens, and a notification from another instance reaches it', LANES, [
		{ from: CLIENT, to: ONE, text: 'GET, Mcp-Session-Id' },
		{ from: ONE, to: OBJECT, text: 'RPC admit' },
		{ from: ONE, to: OBJECT, text: 'upgrade with the key', is: 'socket' },
		{ from: ONE, to: CLIENT, text: '200, event stream', is: 'answer' },
		{ note: 'a tool runs in another instance, and the list of tools changes' },
		{ from: TWO, to: OBJECT, text: 'RPC broadcast' },
		{ note: 'one row in the log, then one message on each socket' },
		{ from: OBJECT, to: ONE, text: 'WebSocket: position, event', is: 'socket' },
		{ from: ONE, to: CLIENT, text: 'id: 0.k3f09a2x.42, data: …', is: 'answer' },
	]);

const reconnect = () =>
	sequence('A connection breaks without a word, and the client comes back', LANES, [
		{ note: 'the connection of the client breaks, and nobody notices' },
		{ from: TWO, to: OBJECT, text: 'RPC broadcast: event 43' },
		{ from: OBJECT, to: ONE, text: 'WebSocket: event 43', is: 'socket' },
		{
			note: 'event 43 is written to a dead connection; the client comes back at once, to any instance',
		},
		{ from: CLIENT, to: TWO, text: 'GET, Last-Event-ID: 0.k3f09a2x.42' },
		{ from: TWO, to: OBJECT, text: 'upgrade, after event 42', is: 'socket' },
		{ from: OBJECT, to: ONE, text: 'close 4001: superseded', is: 'socket' },
		{ from: OBJECT, to: TWO, text: 'WebSocket: event 43 from the log', is: 'socket' },
		{ from: TWO, to: CLIENT, text: '200, event 43', is: 'answer' },
	]);

const question = () =>
	sequence('A tool asks its client, and the answer reaches another instance', LANES, [
		{ from: CLIENT, to: ONE, text: 'POST tools/call' },
		{ from: ONE, to: OBJECT, text: 'RPC ask: wire id, session, owner' },
		{ from: ONE, to: OBJECT, text: 'upgrade: the way back', is: 'socket' },
		{ from: ONE, to: CLIENT, text: 'elicitation, with the wire id', is: 'answer' },
		{ note: 'the answer is a POST of its own, and lands on another instance' },
		{ from: CLIENT, to: TWO, text: 'POST: the answer' },
		{ from: TWO, to: OBJECT, text: 'RPC answer: checks session, owner, id' },
		{ from: OBJECT, to: ONE, text: 'WebSocket: the answer', is: 'socket' },
		{ from: ONE, to: CLIENT, text: 'result of the tool', is: 'answer' },
	]);

/** Each picture by the name of its file in `docs/images`. */
export const DIAGRAMS: Readonly<Record<string, () => string>> = {
	'overview.svg': overview,
	'homes.svg': homes,
	'notification.svg': notification,
	'reconnect.svg': reconnect,
	'question.svg': question,
};

/**
 * What runs in the page. It makes elements and sets their text, so that whatever a client calls itself is text, and the
 * page's policy (`require-trusted-types-for`) stops anything else.
 */
export const SCRIPT = String.raw`
const POLL_MS = 3000;
const POINTS = 60;
const KEPT_EVENTS = 200;
const PAGED = ['sessions', 'listeners'];
const base = location.pathname.replace(/\/$/, '');
const $ = (id) => document.getElementById(id);
const state = { home: undefined, sessions: [''], listeners: [''], after: 0, paused: false, next: {}, heads: new Map(), rates: [], ending: undefined, asked: 0 };

function fitOut(element, attributes, ...children) {
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	element.append(...children);
	return element;
}

const make = (tag, ...rest) => fitOut(document.createElement(tag), ...rest);
const draw = (tag, ...rest) => fitOut(document.createElementNS('http://www.w3.org/2000/svg', tag), ...rest);

const number = (value) => value.toLocaleString('en');
function duration(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 60) return s + ' s';
	if (s < 3600) return Math.floor(s / 60) + ' min';
	if (s < 86400) return Math.floor(s / 3600) + ' h';
	return Math.floor(s / 86400) + ' d';
}

function say(text, isWrong = false) {
	const status = $('status');
	status.classList.toggle('wrong', isWrong);
	if (status.textContent !== text) status.textContent = text;
}

function showPaging(list, next) {
	const isFirst = state[list].length === 1;
	$(list + '-first').disabled = isFirst;
	$(list + '-next').disabled = !next;
	$(list + '-next').parentElement.hidden = isFirst && !next;
	state.next[list] = next;
}

/** Rows are found again by their keys and changed in place, so that the focus stays where it is. */
function fill(table, items, cellsOf) {
	const body = table.tBodies[0];
	const rows = new Map(Array.from(body.rows, (row) => [row.dataset.key, row]));
	const labels = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
	let at = body.firstElementChild;
	for (const item of items) {
		const key = String(item.key);
		let row = rows.get(key);
		const cells = cellsOf(item);
		if (!row) {
			row = make('tr', { role: 'row', 'data-key': key });
			cells.forEach(({ kind, node }, index) => {
				const cell = make('td', { role: 'cell', 'data-label': labels[index] });
				if (kind) cell.className = kind;
				if (node) cell.append(node());
				row.append(cell);
			});
		}
		rows.delete(key);
		cells.forEach(({ text, change }, index) => {
			const cell = row.cells[index];
			if (change) change(cell);
			else if (text !== undefined && cell.textContent !== text) cell.textContent = text;
		});
		if (row === at) at = at.nextElementSibling;
		else body.insertBefore(row, at);
	}
	for (const row of rows.values()) row.remove();
	table.hidden = items.length === 0;
	$('no-' + table.id)?.toggleAttribute('hidden', items.length > 0);
}

function showHomes({ homes, home }) {
	fill($('homes'), homes.map((of) => ({ key: of.label, ...of })), (of) => [
		{
			node: () => {
				const input = make('input', { type: 'radio', name: 'home', value: of.label });
				input.addEventListener('change', () => choose(of.label));
				return make('label', {}, input, make('span', {}, of.label));
			},
			change: (cell) => {
				const input = cell.querySelector('input');
				if (of.label === home && !input.checked) input.checked = true;
				cell.closest('tr').classList.toggle('chosen', of.label === home);
			},
		},
		...['streams', 'listeners', 'known'].map((name) => ({ kind: 'number', text: of.error ? '–' : number(of[name]) })),
		{ kind: 'number', text: of.error ? 'failed' : of.log ? number(of.log.events) : 'off' },
	]);
	for (const span of document.querySelectorAll('span.chosen, b.chosen')) span.textContent = home;
}

function showSessions({ sessions, at }) {
	fill($('sessions'), sessions.items, (of) => [
		{ kind: 'id', text: of.name },
		{ change: (cell) => {
			const span = cell.firstElementChild ?? cell.appendChild(make('span', {}));
			span.className = 'state ' + of.state;
			if (span.textContent !== of.state) span.textContent = of.state;
		} },
		{ text: of.client ? of.client.name + ' ' + of.client.version : '–' },
		{ kind: 'number', text: of.begunAt ? duration(at - of.begunAt) : '–' },
		{ kind: 'number', text: number(of.position) },
		{ kind: 'number', text: number(of.waiting) + (of.mayWaitForMore ? ' or more' : '') },
		{ kind: 'number', text: of.expiresAt ? duration(of.expiresAt - at) : '–' },
		{ kind: 'action', node: () => {
			const button = make('button', { type: 'button', 'aria-label': 'End session ' + of.name }, 'End…');
			button.addEventListener('click', () => confirmEnd(of));
			return button;
		} },
	]);
	showPaging('sessions', sessions.next);
}

const LISTS = { toolsListChanged: 'tools', promptsListChanged: 'prompts', resourcesListChanged: 'resources' };
function showListeners({ listeners }) {
	fill($('listeners'), listeners.items, (of) => {
		const more = of.resourceCount - of.resources.length;
		return [
			{ kind: 'id', text: of.id },
			{ text: Object.keys(LISTS).filter((list) => of.lists[list]).map((list) => LISTS[list]).join(', ') || '–' },
			{ text: of.resources.join(', ') + (more > 0 ? ' and ' + number(more) + ' more' : '') || '–' },
		];
	});
	showPaging('listeners', listeners.next);
}

const AUDIENCES = { all: 'all sessions', subscriptions: 'listen streams', lost: '–' };
let events = [];
function showLog(data) {
	events = [...data.events, ...events].slice(0, KEPT_EVENTS);
	if (events.length > 0) state.after = events[0].seq;
	fill($('log'), events.map((of) => ({ key: of.seq, ...of })), (of) => [
		{ kind: 'number', text: number(of.seq) },
		{ text: new Date(of.at).toLocaleTimeString('en-GB') },
		{ text: of.audience === 'sessions' ? number(of.named) + (of.named === 1 ? ' session' : ' sessions') : AUDIENCES[of.audience] },
		{ kind: 'method', node: () => {
			const method = of.audience === 'lost' ? 'the object was replaced: streams came back' : (of.method ?? '–');
			if (of.payload === undefined) return document.createTextNode(method);
			return make('details', {}, make('summary', {}, method), make('pre', {}, of.payload));
		} },
		{ kind: 'number', text: number(of.bytes) },
	]);
}

/** How many events the logs have grown by since the last answer, a second. */
function noteRates({ at, homes }) {
	const seconds = (at - state.ratedAt) / 1000;
	const rates = new Map();
	for (const { label, log } of homes) {
		const before = state.heads.get(label);
		if (log && before !== undefined && seconds > 0) rates.set(label, Math.max(0, log.head - before) / seconds);
		if (log) state.heads.set(label, log.head);
	}
	if (state.ratedAt !== undefined) state.rates = [...state.rates, rates].slice(-POINTS);
	state.ratedAt = at;
}

function showRates() {
	const [width, height, left, bottom] = [$('chart').clientWidth || 560, 150, 34, 18];
	const sum = (rates) => Array.from(rates.values()).reduce((total, rate) => total + rate, 0);
	const all = state.rates.map(sum);
	const one = state.rates.map((rates) => rates.get(state.home) ?? 0);
	const top = niceTop(Math.max(...all, 0));
	const x = (index) => left + ((index + POINTS - all.length) / (POINTS - 1)) * (width - left - 4);
	const y = (rate) => 8 + (1 - rate / top) * (height - bottom - 8);
	const line = (rates) => rates.map((rate, index) => (index ? 'L' : 'M') + x(index).toFixed(1) + ' ' + y(rate).toFixed(1)).join('');
	const now = all.at(-1) ?? 0;
	const label = 'Messages a second over the last three minutes. Now ' + now.toFixed(1) + ', at most ' + Math.max(...all, 0).toFixed(1) + '.';
	const svg = draw('svg', { viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': label });
	for (const rate of [0, top / 2, top]) {
		svg.append(draw('line', { class: 'grid', x1: left, x2: width - 4, y1: y(rate), y2: y(rate) }));
		svg.append(draw('text', { x: left - 6, y: y(rate) + 4, 'text-anchor': 'end' }, String(rate)));
	}
	svg.append(draw('text', { x: left, y: height - 4 }, '3 min ago'));
	svg.append(draw('text', { x: width - 4, y: height - 4, 'text-anchor': 'end' }, 'now'));
	if (all.length > 1) {
		svg.append(draw('path', { class: 'area', d: line(all) + 'L' + x(all.length - 1).toFixed(1) + ' ' + y(0) + 'L' + x(0).toFixed(1) + ' ' + y(0) + 'Z' }));
		svg.append(draw('path', { class: 'all', d: line(all) }));
		svg.append(draw('path', { class: 'one', d: line(one) }));
	}
	$('chart').replaceChildren(svg);
}

function niceTop(rate) {
	for (let unit = 1; ; unit *= 10) for (const step of [1, 2, 4, 6]) if (rate <= unit * step) return unit * step;
}

async function load() {
	const asked = ++state.asked;
	const query = new URLSearchParams({ after: state.after });
	if (state.home !== undefined) query.set('home', state.home);
	for (const list of PAGED) if (state[list].at(-1)) query.set(list, state[list].at(-1));
	try {
		const response = await fetch(base + '/data?' + query, { headers: { accept: 'application/json' } });
		if (!response.ok) throw new Error(response.status === 403 ? 'You may not see this any more.' : ((await response.json()).error ?? response.status));
		const data = await response.json();
		// Another home or page was asked for meanwhile.
		if (asked !== state.asked) return;
		// The one that was shown is gone.
		if (state.home !== undefined && data.home !== state.home) return choose(data.home);
		state.home = data.home;
		noteRates(data);
		showHomes(data);
		showRates();
		showSessions(data);
		showListeners(data);
		showLog(data);
		const failed = data.homes.filter(({ error }) => error);
		if (failed.length > 0) say('Home ' + failed[0].label + ' failed: ' + failed[0].error, true);
		else if (!state.said) say('Live, every ' + POLL_MS / 1000 + ' seconds while this page is visible.');
		document.body.dataset.loaded = 'true';
	} catch (error) {
		if (asked === state.asked) say('Not up to date: ' + error.message, true);
	}
}

let timer;
async function run() {
	clearTimeout(timer);
	if (state.paused || document.hidden) return;
	await load();
	clearTimeout(timer);
	timer = setTimeout(run, POLL_MS);
}

function choose(home) {
	Object.assign(state, { home, sessions: [''], listeners: [''], after: 0 });
	events = [];
	load();
}

function confirmEnd(session) {
	state.ending = session;
	$('confirm-name').textContent = session.name;
	$('confirm').showModal();
	$('confirm-no').focus();
}

async function end() {
	const { key, name } = state.ending;
	$('confirm').close();
	state.said = true;
	try {
		const response = await fetch(base + '/end', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ session: key }) });
		if (!response.ok) throw new Error((await response.json()).error ?? response.status);
		say('Session ' + name + ' has ended.');
	} catch (error) {
		say('Session ' + name + ' was not ended: ' + error.message, true);
	}
	setTimeout(() => { state.said = false; }, 2 * POLL_MS);
	await load();
	$('sessions-title').setAttribute('tabindex', '-1');
	$('sessions-title').focus();
}

for (const list of PAGED) {
	$(list + '-first').addEventListener('click', () => { state[list] = ['']; load(); });
	$(list + '-next').addEventListener('click', () => { state[list] = [...state[list], state.next[list]]; load(); });
}
$('confirm-no').addEventListener('click', () => $('confirm').close());
$('confirm-yes').addEventListener('click', end);
$('pause').addEventListener('click', () => {
	state.paused = !state.paused;
	$('pause').setAttribute('aria-pressed', String(state.paused));
	say(state.paused ? 'Paused: nothing is asked of the server.' : '');
	run();
});
document.addEventListener('visibilitychange', run);
run();
`;

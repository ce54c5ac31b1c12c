/** A small MCP client of both kinds, written out so that every message can be seen. It uses nothing but fetch. */
const MCP = '/mcp';
const MEMO = 'memo://board';
const MAX_STREAMS = 4;
const FIGURES_MS = 2_000;

/** Objects hibernate after 10 seconds without a call; a little longer, to be sure. */
const SLEEP_MS = 12_000;

const $ = (id) => document.getElementById(id);
const cards = new Set();
let sent = 0;
let named = 0;
let isAsleep = false;

function say(text) {
	$('said').textContent = text;
}

/** The events of a stream, one after another: `{ id, data }`. */
async function* eventsOf(response) {
	let text = '';
	for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
		const events = (text + chunk).split('\n\n');
		text = events.pop();
		for (const event of events) {
			const lines = event.split('\n');
			const of = (name) =>
				lines
					.filter((line) => line.startsWith(`${name}:`))
					.map((line) => line.slice(name.length + 1).trimStart())
					.join('\n');
			yield { id: of('id'), data: of('data') };
		}
	}
}

function post(message, headers, signal) {
	return fetch(MCP, {
		method: 'POST',
		headers: {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
			...headers,
		},
		body: JSON.stringify({ jsonrpc: '2.0', ...message }),
		...(signal && { signal }),
	});
}

/** What one stream has received, and what can be done with it. */
class Card {
	state = 'opening';
	lastEventId = '';
	/** Numbers of the messages that it is to hear, and of those that it heard. */
	expected = new Set();
	heard = [];
	#root = $('card').content.cloneNode(true).firstElementChild;

	constructor(title) {
		this.#root.querySelector('h3').textContent = title;
		this.log = this.#root.querySelector('ol');
		this.log.setAttribute('aria-label', `What ${title} has received`);
		this.question = this.#root.querySelector('form');
		cards.add(this);
		$('cards').append(this.#root);
		update();
	}

	button(label, action) {
		const button = document.createElement('button');
		button.type = 'button';
		button.textContent = label;
		button.addEventListener('click', () => action().catch((error) => this.note(error.message)));
		this.#root.querySelector('.buttons').append(button);
		return button;
	}

	become(state) {
		this.state = state;
		this.#root.dataset.state = state;
		this.#root.querySelector('.state').textContent = state;
		for (const button of this.#root.querySelectorAll('.buttons button')) {
			button.disabled = state === 'ended' || this.isBusy?.(button.textContent);
		}
		update();
	}

	/** Received, of what was sent to it. */
	count() {
		const { expected, heard } = this;
		const missing = [...expected].filter((number) => !heard.includes(number)).length;
		const isInOrder = heard.every((number, index) => index === 0 || number > heard[index - 1]);
		if (expected.size === 0) return;
		const rest = missing === 0 ? 'nothing lost' : `${missing} to come`;
		this.#root.querySelector('.count').textContent =
			`${expected.size - missing} of ${expected.size} messages, ${rest}, ${isInOrder ? 'in order' : 'not in order'}`;
	}

	add(kind, text, detail) {
		const item = document.createElement('li');
		item.className = kind;
		const time = document.createElement('time');
		time.textContent = new Date().toLocaleTimeString('en-GB');
		const span = document.createElement('span');
		span.textContent = text;
		item.append(time, span);
		if (detail) {
			const code = document.createElement('code');
			code.textContent = detail;
			item.append(code);
		}
		this.log.append(item);
		this.log.scrollTop = this.log.scrollHeight;
	}

	note(text) {
		this.add('note', text);
	}

	received({ id, data }) {
		if (id) this.lastEventId = id;
		if (!data) return undefined;
		const message = JSON.parse(data);
		const { method, params, result, error } = message;
		const [, number] = /^Message (\d+)$/.exec(params?.data) ?? [];
		if (number) this.heard.push(Number(number));
		const subject = params?.data ?? params?.uri ?? params?.message;
		const what = method ?? (error ? `error ${error.code}` : `answer ${textOf(result)}`);
		this.add('event', subject ? `${what}: ${subject}` : what, id && `id ${id}`);
		this.count();
		return message;
	}

	remove() {
		cards.delete(this);
		this.#root.remove();
		update();
	}
}

function textOf(result) {
	return result?.content?.[0]?.text ?? JSON.stringify(result);
}

/** A client of MCP 2025-06-18: it initialises, and holds one stream. */
class Session extends Card {
	#id = '';
	#next = 1;
	#cut = new AbortController();
	/** The id of what the server has asked last. */
	#asked;

	constructor(name) {
		super(`Session ${name}`);
		this.name = name;
		const { question } = this;
		question.addEventListener('submit', (event) => {
			event.preventDefault();
			const content = { dish: question.elements.dish.value };
			void this.answer({ action: 'accept', content });
		});
		question.elements.decline.addEventListener('click', () => {
			void this.answer({ action: 'decline' });
		});
		this.button('Subscribe to the memo', () => this.subscribe());
		this.button('Order lunch', () => this.order());
		this.button('Cut the stream', () => this.cut());
		this.button('Resume', () => this.open());
		this.button('End', () => this.end());
		this.isBusy = (label) =>
			(label === 'Cut the stream' && this.state !== 'open') ||
			(label === 'Resume' && this.state !== 'cut') ||
			(label === 'Subscribe to the memo' && this.isSubscribed) ||
			(label === 'Order lunch' && this.isAsking);
	}

	get #headers() {
		return { 'mcp-session-id': this.#id, 'mcp-protocol-version': '2025-06-18' };
	}

	async start() {
		const params = {
			protocolVersion: '2025-06-18',
			capabilities: { elicitation: {} },
			clientInfo: { name: `Playground ${this.name}`, version: '1.0.0' },
		};
		const response = await post({ id: 0, method: 'initialize', params });
		await response.text();
		if (!response.ok) throw new Error(`initialize was answered ${response.status}`);
		this.#id = response.headers.get('mcp-session-id');
		const [home] = this.#id.split('.');
		this.note(`Its home is ${home}, and the inspector calls it ${await shortHash(this.#id)}.`);
		await post({ method: 'notifications/initialized' }, this.#headers);
		await this.open();
	}

	/** The stream of notifications. With the id of the last event, the server goes on after that one. */
	async open() {
		this.become('opening');
		this.#cut = new AbortController();
		const resumed = this.lastEventId && { 'last-event-id': this.lastEventId };
		const response = await fetch(MCP, {
			headers: { accept: 'text/event-stream', ...this.#headers, ...resumed },
			signal: this.#cut.signal,
		});
		if (!response.ok) throw new Error(`the stream was answered ${response.status}`);
		if (resumed) this.note(`Resumed after ${this.lastEventId}.`);
		this.become('open');
		void this.#read(response);
	}

	async #read(response) {
		try {
			for await (const event of eventsOf(response)) this.received(event);
			this.become('ended');
		} catch {
			if (this.state !== 'ended') this.become('cut');
		}
	}

	async cut() {
		this.#cut.abort();
		this.note('The stream was cut. What is sent now waits.');
	}

	async subscribe() {
		const message = { id: this.#next++, method: 'resources/subscribe', params: { uri: MEMO } };
		const response = await post(message, this.#headers);
		await response.text();
		this.isSubscribed = response.ok;
		this.note(response.ok ? `Subscribed to ${MEMO}.` : `Refused with ${response.status}.`);
		this.become(this.state);
	}

	/** The tool asks back, on the response of its call. */
	async order() {
		this.isAsking = true;
		this.become(this.state);
		try {
			const params = { name: 'order_lunch', arguments: {} };
			const response = await post(
				{ id: this.#next++, method: 'tools/call', params },
				this.#headers,
			);
			for await (const event of eventsOf(response)) {
				const message = this.received({ data: event.data });
				if (message?.method === 'elicitation/create') this.ask(message);
			}
		} finally {
			this.isAsking = false;
			this.question.hidden = true;
			this.become(this.state);
		}
	}

	ask({ id, params }) {
		const { question } = this;
		question.querySelector('span').textContent = params.message;
		question.hidden = false;
		question.elements.dish.value = '';
		question.elements.dish.focus();
		this.#asked = id;
	}

	async answer(result) {
		this.question.hidden = true;
		await post({ id: this.#asked, result }, this.#headers);
	}

	async end() {
		this.become('ended');
		await fetch(MCP, { method: 'DELETE', headers: this.#headers });
		this.#cut.abort();
		this.remove();
	}
}

/** A client of MCP 2026-07-28: it has no session, and listens to what it names. */
class Listener extends Card {
	#cut = new AbortController();

	constructor(name) {
		super(`Listener ${name}`);
		this.button('Stop', async () => {
			this.become('ended');
			this.#cut.abort();
			this.remove();
		});
	}

	async start(notifications) {
		const method = 'subscriptions/listen';
		const client = {
			'io.modelcontextprotocol/protocolVersion': '2026-07-28',
			'io.modelcontextprotocol/clientInfo': { name: 'Playground', version: '1.0.0' },
			'io.modelcontextprotocol/clientCapabilities': {},
		};
		const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method };
		const message = { id: 1, method, params: { _meta: client, notifications } };
		const response = await post(message, headers, this.#cut.signal);
		if (!response.ok) throw new Error(`the listen was answered ${response.status}`);
		this.become('open');
		try {
			for await (const event of eventsOf(response)) this.received(event);
			this.become('ended');
		} catch {
			if (this.state !== 'ended') this.become('cut');
		}
	}
}

function update() {
	$('none').hidden = cards.size > 0;
	const open = [...cards].filter(({ state }) => state === 'open' || state === 'opening').length;
	$('open').disabled = open >= MAX_STREAMS;
	$('listen').disabled = open >= MAX_STREAMS;
}

async function play(path, body = '') {
	const response = await fetch(`/playground/${path}`, { method: 'POST', body });
	if (!response.ok) throw new Error(`${path} was answered ${response.status}`);
	return response.json();
}

async function sendMessage() {
	const number = ++sent;
	for (const card of cards) {
		if (!(card instanceof Session) || card.state === 'ended') continue;
		card.expected.add(number);
		card.count();
	}
	return play('message', `Message ${number}`);
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const toldOf = ({ delivered, waiting, listeners }) =>
	[
		counted(delivered, 'open session'),
		...(waiting ? [`${waiting} that are away`] : []),
		...(listeners ? [counted(listeners, 'listen stream')] : []),
	].join(', ');

const ACTIONS = {
	open: async () => {
		await new Session(String.fromCharCode(65 + (named++ % 26))).start();
	},
	listen: async () => {
		const filter = {
			...($('listen-tools').checked && { toolsListChanged: true }),
			...($('listen-memo').checked && { resourceSubscriptions: [MEMO] }),
		};
		void new Listener(String.fromCharCode(65 + (named++ % 26)))
			.start(filter)
			.catch((error) => say(error.message));
	},
	message: async () => say(`Handed to ${toldOf(await sendMessage())}; it waits for the others.`),
	burst: async () => {
		for (let count = 0; count < 10; count++) await sendMessage();
		say('Ten messages were sent.');
	},
	tools: async () => say(`Handed to ${toldOf(await play('tools'))}.`),
	memo: async () => {
		const memo = `Lunch at ${new Date().toLocaleTimeString('en-GB')}`;
		say(`Written: “${memo}”. Handed to ${toldOf(await play('memo', memo))}.`);
	},
	replace: async () => {
		const { replaced } = await play('replace');
		say(`${replaced} homes were replaced. The streams here stay open; send a message.`);
	},
	sleep: async () => {
		const before = await figures();
		isAsleep = true;
		$('sleep').disabled = true;
		try {
			for (let left = SLEEP_MS / 1000; left > 0; left--) {
				say(`Nobody calls the homes for ${left} seconds …`);
				await new Promise((resolve) => setTimeout(resolve, 1_000));
			}
		} finally {
			isAsleep = false;
			$('sleep').disabled = false;
		}
		const after = await figures();
		const woken = after.filter(({ home, instance }) =>
			before.some((of) => of.home === home && of.instance !== instance),
		);
		const open = after.reduce((sum, { streams, listeners }) => sum + streams + listeners, 0);
		say(
			`${woken.length} of ${after.length} homes had hibernated and woke as new instances; ${open} streams are open.`,
		);
	},
};

for (const [id, action] of Object.entries(ACTIONS)) {
	$(id).addEventListener('click', () => action().catch((error) => say(error.message)));
}

/** As the library names a session where its id must not stand. */
async function shortHash(id) {
	const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(id));
	const text = btoa(String.fromCharCode(...new Uint8Array(digest)));
	return text.replaceAll('+', '-').replaceAll('/', '_').slice(0, 8);
}

async function figures() {
	const response = await fetch('/playground/figures');
	if (!response.ok) throw new Error(`The figures were answered ${response.status}.`);
	return response.json();
}

function element(name, attributes, text) {
	const made = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	if (text !== undefined) made.textContent = text;
	return made;
}

/** A bar for each home: its session streams and, after them, its listen streams. */
function chart(homes) {
	const isNarrow = ($('chart').clientWidth || 600) < 520;
	const [line, left, right] = [34, 70, isNarrow ? 60 : 210];
	const width = $('chart').clientWidth || 600;
	const room = width - left - right;
	const top = Math.max(4, ...homes.map(({ streams, listeners }) => streams + listeners));
	const description = homes
		.map((of) => `home ${of.home}: ${of.streams} and ${of.listeners}`)
		.join('; ');
	const height = homes.length * line;
	const svg = element('svg', {
		viewBox: `0 0 ${width} ${height}`,
		height,
		role: 'img',
		'aria-label': `Open streams of sessions and listen streams: ${description}`,
	});
	homes.forEach(({ home, streams, listeners, events }, index) => {
		const y = index * line;
		const [ofStreams, ofListeners] = [streams, listeners].map((count) => (count / top) * room);
		svg.append(
			element('text', { x: 0, y: y + 19 }, `Home ${home}`),
			element('rect', { class: 'streams', x: left, y: y + 5, width: ofStreams, height: 20, rx: 3 }),
			element('rect', {
				class: 'listeners',
				x: left + ofStreams,
				y: y + 5,
				width: ofListeners,
				height: 20,
				rx: 3,
			}),
		);
		const counts = `${streams} + ${listeners}`;
		const text = isNarrow ? counts : `${counts}, ${events} in the log`;
		const at = { class: 'soft', x: width, y: y + 19, 'text-anchor': 'end' };
		svg.append(element('text', at, text));
	});
	$('chart').replaceChildren(svg);
}

async function showFigures() {
	if (document.hidden || isAsleep) return;
	await figures().then(chart, (error) => say(error.message));
}

setInterval(() => void showFigures(), FIGURES_MS);
void showFigures();

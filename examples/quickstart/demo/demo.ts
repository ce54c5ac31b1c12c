/** `npm run demo`: one server, clients of both kinds, and every notification where it belongs. */
import { startDevServer } from './dev-server.ts';
import { ListeningClient } from './listening-client.ts';
import { McpClient } from './mcp-client.ts';
import type { Notification, RecordingClient } from './recording-client.ts';

/** The demo ends after this time, whatever happens, in milliseconds. */
const DEMO_LIMIT_MS = 120_000;

const MEMO = 'memo://board';
const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/tools/list_changed';

function say(who: string, what: string): void {
	console.log(`  ${who.padEnd(6)} ${what}`);
}

/** What a client has to receive in the whole demo. */
interface Expectation {
	client: RecordingClient;
	method: string;
	times: number;
}

/** @returns whether everything arrived, and nothing else */
function printSummary(expectations: readonly Expectation[]): boolean {
	console.log('\nSummary');
	let complete = true;
	for (const { client, method, times } of expectations) {
		const received = client.count(method);
		if (received !== times) complete = false;
		const verdict = received === times ? 'ok' : 'WRONG';
		say(client.name, `${method.padEnd(34)} ${received} of ${times}  ${verdict}`);
	}
	return complete;
}

async function run(url: URL): Promise<boolean> {
	const print =
		(name: string) =>
		({ method, params }: Notification) =>
			say(name, `<- ${[method, params?.['uri']].join(' ')}`);
	const connect = (name: string) => new McpClient(name, url, print(name)).connect();
	const ada = await connect('Ada');
	const ben = await connect('Ben');
	const cleo = await connect('Cleo');
	const dora = await new McpClient('Dora', url).connect();
	const listeners = [ada, ben, cleo];

	const write = async (text: string) => {
		say('Dora', `-> write_memo "${text}"`);
		await dora.call('write_memo', { text });
	};
	const announce = async () => {
		say('Dora', '-> announce_tools');
		await dora.call('announce_tools');
	};

	console.log(`\nAda, Ben and Cleo listen; Ada and Ben subscribe to ${MEMO}. Dora does something.`);
	await ada.subscribe(MEMO);
	await ben.subscribe(MEMO);
	await write('Lunch at noon');
	await announce();
	await Promise.all(listeners.map((client) => client.receives(LIST_CHANGED, 1)));

	console.log('\nBen loses his network. The others go on.');
	await ben.drop();
	await write('Lunch at one');
	for (const count of [2, 3, 4]) {
		await announce();
		await Promise.all([ada, cleo].map((client) => client.receives(LIST_CHANGED, count)));
	}

	console.log(
		'\nBen comes back to his session, names the last event he has, and gets what he missed.',
	);
	await ben.reconnect();
	say('Ben', `GET answered ${ben.streams.at(-1)?.status}`);
	await ben.receives(UPDATED, 2);
	await ben.receives(LIST_CHANGED, 4);

	console.log(`\nEve speaks MCP 2026-07-28: she has no session, and listens to ${MEMO} only.`);
	const eve = await new ListeningClient('Eve', url, print('Eve')).connect();
	const { honoredFilter } = await eve.listen({ resourceSubscriptions: [MEMO] });
	say('Eve', `<- acknowledged ${JSON.stringify(honoredFilter)}`);
	await announce();
	await write('Lunch at two');
	await eve.receives(UPDATED, 1);
	say('Eve', '-> write_memo "No lunch"');
	await eve.call('write_memo', { text: 'No lunch' });
	await eve.receives(UPDATED, 2);
	await Promise.all([ada, ben].map((client) => client.receives(UPDATED, 4)));
	await Promise.all(listeners.map((client) => client.receives(LIST_CHANGED, 5)));

	console.log(
		'\nThe object that holds all streams goes away, as by a deploy. Dora goes on at once.',
	);
	const evicted = await fetch(new URL('/evict', url), { method: 'POST' });
	say('object', await evicted.text());
	await write('Lunch after all');
	await announce();
	await Promise.all([ada, ben].map((client) => client.receives(UPDATED, 5)));
	await eve.receives(UPDATED, 3);
	await Promise.all(listeners.map((client) => client.receives(LIST_CHANGED, 6)));
	const open = listeners.filter(({ streams }) => streams.at(-1)?.state === 'open').length;
	say('all', `${open} of ${listeners.length} streams stayed open`);

	const arrived = printSummary([
		{ client: ada, method: UPDATED, times: 5 },
		{ client: ada, method: LIST_CHANGED, times: 6 },
		{ client: ben, method: UPDATED, times: 5 },
		{ client: ben, method: LIST_CHANGED, times: 6 },
		{ client: cleo, method: UPDATED, times: 0 },
		{ client: cleo, method: LIST_CHANGED, times: 6 },
		{ client: eve, method: UPDATED, times: 3 },
		{ client: eve, method: LIST_CHANGED, times: 0 },
	]);
	const complete = arrived && open === listeners.length;
	await Promise.all([...listeners, dora].map((client) => client.terminate()));
	await eve.close();
	return complete;
}

setTimeout(() => {
	console.error(`The demo took longer than ${DEMO_LIMIT_MS} ms.`);
	process.exit(1);
}, DEMO_LIMIT_MS).unref();

console.log('Starting wrangler dev on a free port ...');
const server = await startDevServer({
	configs: ['examples/quickstart/demo/worker/wrangler.jsonc'],
});
const url = new URL('/mcp', server.url);
console.log(`The quickstart listens on ${url}`);
try {
	const complete = await run(url);
	console.log(complete ? '\nAll arrived.' : '\nSomething is missing.');
	process.exitCode = complete ? 0 : 1;
} catch (error) {
	console.error('\nThe demo failed.', error, `\nThe server wrote:\n${server.logs()}`);
	process.exitCode = 1;
} finally {
	await server.stop();
}

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
	// A server notices that a client is gone when it writes to it: here by the announcements, else by its keep-alive.
	await ben.drop();
	for (const count of [2, 3, 4]) {
		await announce();
		await Promise.all([ada, cleo].map((client) => client.receives(LIST_CHANGED, count)));
	}

	console.log('\nBen comes back to his session.');
	await ben.reconnect();
	say('Ben', `GET answered ${ben.streams.at(-1)?.status}`);
	await write('Lunch at one');
	await announce();
	await ada.receives(LIST_CHANGED, 5);
	await ben.receives(LIST_CHANGED, 2);
	await cleo.receives(LIST_CHANGED, 5);

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
	await ada.receives(LIST_CHANGED, 6);
	await ben.receives(LIST_CHANGED, 3);
	await cleo.receives(LIST_CHANGED, 6);

	const complete = printSummary([
		{ client: ada, method: UPDATED, times: 4 },
		{ client: ada, method: LIST_CHANGED, times: 6 },
		{ client: ben, method: UPDATED, times: 4 },
		{ client: ben, method: LIST_CHANGED, times: 3 },
		{ client: cleo, method: UPDATED, times: 0 },
		{ client: cleo, method: LIST_CHANGED, times: 6 },
		{ client: eve, method: UPDATED, times: 2 },
		{ client: eve, method: LIST_CHANGED, times: 0 },
	]);
	await Promise.all([...listeners, dora].map((client) => client.terminate()));
	await eve.close();
	return complete;
}

setTimeout(() => {
	console.error(`The demo took longer than ${DEMO_LIMIT_MS} ms.`);
	process.exit(1);
}, DEMO_LIMIT_MS).unref();

console.log('Starting wrangler dev on a free port ...');
const server = await startDevServer();
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

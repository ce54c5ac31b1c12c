import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { LIMIT_MS } from '../../examples/quickstart/demo/recording-client.ts';
import { waitFor } from '../../examples/quickstart/demo/wait-for.ts';
import { hearingClient } from './hearing-client.ts';
import { Network } from './network.ts';
import { startTwoWorkers, type TwoWorkers } from './two-workers.ts';

let server: TwoWorkers;

beforeAll(async () => {
	server = await startTwoWorkers();
});
afterAll(() => server?.stop());

/** The official client as it is, but for pauses that are shorter and more tries. */
function connect(network: Network) {
	return hearingClient(new URL('/quickstart/mcp', network.url), {
		initialReconnectionDelay: 50,
		maxReconnectionDelay: 200,
		reconnectionDelayGrowFactor: 1.5,
		maxRetries: 100,
	});
}

test.each(['noticed', 'unnoticed'] as const)(
	'the official client, cut off three times (%s by the server), comes back by itself and gets each message once, in order',
	async (how) => {
		const network = await Network.to(server.url);
		onTestFinished(() => network.close());
		const { received, lastEventIds, sessionId } = await connect(network);
		const session = `session=${sessionId}`;
		const sent: string[] = [];
		const send = async (times: number) => {
			for (let time = 0; time < times; time++) {
				// Every other one is for all clients.
				const query = sent.length % 2 === 0 ? '' : `?${session}`;
				sent.push(`number ${sent.length + 1}`);
				await server.ask('POST', `/broadcast${query}`, sent.at(-1));
			}
		};
		const all = () =>
			waitFor(`${sent.length} messages`, LIMIT_MS, () => received.length >= sent.length);
		await waitFor('the stream', LIMIT_MS, async () => {
			return Reflect.get(Object(await server.ask('GET', `/has?${session}`)), 'has') === true;
		});

		for (let round = 1; round <= 3; round++) {
			// The first cut comes before the first message: from the beginning the client knows where it is.
			if (round > 1) await send(3);
			await all();
			const refused = network.refused;
			network.cut(how);
			await send(5);
			await waitFor('a try to come back', LIMIT_MS, () => network.refused > refused);
			await send(5);
			expect(received).toHaveLength(sent.length - 10);
			network.restore();
			await send(3);
			await all();
		}

		expect(received).toEqual(sent);
		expect(lastEventIds).toEqual([null, ...Array(3).fill(expect.stringMatching(/^.+\..+\.\d+$/))]);
		expect(server.logs()).not.toMatch(/uncaught/i);
	},
);

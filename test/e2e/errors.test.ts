import { expect, onTestFinished, test } from 'vitest';
import { compatibilityFrom } from '../../examples/quickstart/demo/compatibility.ts';
import { startDevServer } from '../../examples/quickstart/demo/dev-server.ts';

/** What all configurations here say. */
const CONFIGURED = { date: '2026-08-01', flags: [] };

/** From this date on, own properties of an error cross RPC (`enhanced_error_serialization`). */
const PROPERTIES_CROSS_RPC_FROM = '2026-04-21';

/** From this date on `nodejs_compat` is on by itself, and with it `node:diagnostics_channel`. */
const NODE_FROM = '2026-08-04';

/** What the Worker of this test answers. */
interface Answer {
	events: string[];
	flags: Record<string, boolean>;
	code?: string;
	restored?: string;
}

test('a Worker learns the code of an error that came over RPC, and hears events where it can, at any compatibility date', async () => {
	const server = await startDevServer({
		configs: ['test/e2e/workers/errors/wrangler.jsonc', 'wrangler.jsonc'],
	});
	onTestFinished(server.stop);

	const answer: Answer = await (await fetch(server.url)).json();

	const { date, flags } = compatibilityFrom(process.env) ?? CONFIGURED;
	const keepsProperties = date >= PROPERTIES_CROSS_RPC_FROM;
	expect(answer.restored).toBe('INVALID_SESSION_ID');
	expect(answer.code).toBe(keepsProperties ? 'INVALID_SESSION_ID' : undefined);
	// Where there is no such module, the library does all but publish.
	const hasNode = flags.includes('nodejs_compat') || date >= NODE_FROM;
	expect(answer.events).toEqual(hasNode ? ['delivered'] : []);
	// `npm run dates` is worth nothing if the Workers do not run at the date and with the flags that it asks for.
	expect(answer.flags).toMatchObject({
		enhanced_error_serialization: keepsProperties,
		...Object.fromEntries(flags.map((flag) => [flag, true])),
	});
});

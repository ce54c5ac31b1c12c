import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
	StreamableHTTPClientTransport,
	type StreamableHTTPReconnectionOptions,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { onTestFinished } from 'vitest';

/** What the official client hears, and with which event ids it opens its streams. It closes with the test. */
export async function hearingClient(
	url: URL,
	reconnectionOptions?: StreamableHTTPReconnectionOptions,
) {
	const received: unknown[] = [];
	const errors: Error[] = [];
	const lastEventIds: (string | null)[] = [];
	const client = new Client({ name: 'client', version: '1.0.0' });
	Object.assign(client, { onerror: (error: Error) => errors.push(error) });
	client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
		received.push(params.data);
	});
	const transport = new StreamableHTTPClientTransport(url, {
		...(reconnectionOptions && { reconnectionOptions }),
		fetch: async (to, init) => {
			const response = await fetch(to, init);
			if (init?.method === 'GET' && response.ok)
				lastEventIds.push(new Headers(init.headers).get('last-event-id'));
			return response;
		},
	});
	await client.connect(transport);
	onTestFinished(() => client.close());
	const { sessionId = '' } = transport;
	return { received, errors, lastEventIds, sessionId };
}

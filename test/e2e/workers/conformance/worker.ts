/** The quickstart's server, with the tools that the conformance suite calls by name, for requests to this machine only. */
import {
	DurableObjectStreamSessionManager,
	DurableObjectSubscriptionManager,
	KVInfoSessionManager,
	SessionGateway,
} from '@tmcp/session-manager-durable-objects';
import { HttpTransport } from '@tmcp/transport-http';
import { tool } from 'tmcp/utils';
import * as v from 'valibot';
import { server } from '../../../../examples/quickstart/src/server.ts';

server.tool(
	{
		name: 'test_reconnection',
		// tmcp lets no tool do that, so it answers at once.
		description:
			'Should close the stream that asked, so that the client comes back for the answer.',
	},
	() => tool.text('Here you are.'),
);

server.tool(
	{ name: 'test_trigger_tool_change', description: 'Tells everyone that the tools have changed.' },
	() => {
		server.changed('tools');
		return tool.text('Everyone is told.');
	},
);

server.tool(
	{ name: 'test_missing_capability', description: 'Asks the client for a sample.' },
	async () => {
		const sample = await server.message({ messages: [], maxTokens: 1 });
		return tool.text(JSON.stringify(sample));
	},
);

server.tool(
	{
		name: 'test_elicitation',
		description: 'Asks the user for a name and an address.',
		schema: v.object({ message: v.string() }),
	},
	async ({ message }) => {
		const user = v.object({
			username: v.pipe(v.string(), v.description("User's response")),
			email: v.pipe(v.string(), v.description("User's email address")),
		});
		const response = await server.elicitation(message, user);
		return tool.text(`User response: ${JSON.stringify(response)}`);
	},
);

server.tool(
	{
		name: 'test_sampling',
		description: 'Asks the model of the client.',
		schema: v.object({ prompt: v.string() }),
	},
	async ({ prompt }) => {
		const response = await server.message({
			messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
			maxTokens: 100,
		});
		return tool.text(`LLM response: ${JSON.stringify(response.content)}`);
	},
);

const titled = (noun: string) =>
	['First', 'Second', 'Third'].map((nth, index) => ({
		const: `value${index + 1}`,
		title: `${nth} ${noun}`,
	}));
const options = ['option1', 'option2', 'option3'];

server.tool(
	{
		name: 'test_elicitation_sep1330_enums',
		description: 'Asks the user to choose, in each of the ways of 2025-11-25.',
	},
	async () => {
		// By the low level, because no schema of valibot becomes an enumNames.
		const response = await server.request({
			method: 'elicitation/create',
			params: {
				message: 'Choose.',
				requestedSchema: {
					type: 'object',
					properties: {
						untitledSingle: { type: 'string', enum: options },
						titledSingle: { type: 'string', oneOf: titled('Option') },
						legacyEnum: {
							type: 'string',
							enum: ['opt1', 'opt2', 'opt3'],
							enumNames: ['Option One', 'Option Two', 'Option Three'],
						},
						untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
						titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
					},
				},
			},
		});
		return tool.text(`Elicitation completed: ${JSON.stringify(response)}`);
	},
);

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

const info = new KVInfoSessionManager();
const transport = new HttpTransport(server, {
	path: '/mcp',
	sessionManager: { streams: new DurableObjectStreamSessionManager(undefined, { info }), info },
	subscriptionManager: new DurableObjectSubscriptionManager(),
});
const gateway = new SessionGateway(transport, undefined, {
	info,
	allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
});

export default {
	async fetch(request) {
		return (await gateway.respond(request)) ?? new Response('Not found', { status: 404 });
	},
} satisfies ExportedHandler;

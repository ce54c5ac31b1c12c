/** The quickstart, with the tools that the conformance suite calls by name. */
import { tool } from 'tmcp/utils';
import quickstart from '../../../../examples/quickstart/src/index.ts';
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

export { SyncLayer } from '@tmcp/session-manager-durable-objects';

export default quickstart;

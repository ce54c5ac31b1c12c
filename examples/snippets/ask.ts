import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { McpServer } from 'tmcp';
import * as v from 'valibot';

const server = new McpServer(
	{ name: 'bell', version: '1.0.0' },
	{ adapter: new ValibotJsonSchemaAdapter(), capabilities: { tools: { listChanged: true } } },
);

// #region ask
server.tool({ name: 'pay', description: 'Pay an amount' }, async () => {
	const { content } = await server.elicitation('How much?', v.object({ amount: v.number() }));
	return { content: [{ type: 'text', text: `Paid ${content?.['amount'] ?? 'nothing'}` }] };
});
// #endregion ask

export { server };

import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';

/** A bell that every client hears. Who rang it, OAuth knows (`oauth.ts`). */
export const server = new McpServer(
	{ name: 'bell', version: '1.0.0' },
	{ adapter: undefined, capabilities: { tools: { listChanged: true } } },
);

server.tool({ name: 'ring', description: 'Ring the bell.' }, () => {
	server.changed('tools');
	return tool.text('Ding!');
});

server.tool({ name: 'who_am_i', description: 'Tell who calls.' }, () =>
	tool.text(String(server.ctx.auth?.extra?.['user'] ?? 'I cannot tell.')),
);

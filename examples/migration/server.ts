import { McpServer } from 'tmcp';
import { resource, tool } from 'tmcp/utils';

const MEMO = 'memo://board';

/** A server as it was with 0.3, and as it stays. */
export const server = new McpServer(
	{ name: 'migrated', version: '1.0.0' },
	{
		adapter: undefined,
		capabilities: {
			logging: {},
			tools: { listChanged: true },
			resources: { subscribe: true, listChanged: true },
		},
	},
);

server.resource({ name: 'memo', description: 'A memo.', uri: MEMO }, (uri) =>
	resource.text(uri, 'Lunch at noon', 'text/plain'),
);

server.tool({ name: 'touch_memo', description: 'Tell the subscribers of the memo.' }, () => {
	server.changed('resource', MEMO);
	return tool.text('They are told.');
});

server.tool({ name: 'who_am_i', description: 'Tell what is known of the caller.' }, () =>
	tool.text(JSON.stringify(server.ctx.sessionInfo ?? {})),
);

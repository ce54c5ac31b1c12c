#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { checkWorker } from './worker.ts';

const USAGE = `Tells what is wrong with the configuration of a Worker that uses @tmcp/session-manager-durable-objects.

npx @tmcp/session-manager-durable-objects [options]

  --config FILE    the configuration of wrangler (default: that of this directory)
  --env NAME       the environment in it
  --binding NAME   of the Durable Object (default: TMCP_DURABLE_OBJECT)
  --info kv        where DurableObjectSessions is told so: KV is looked at, too
  --kv NAME        of the KV namespace (default: TMCP_SESSION_INFO)
  --path PATH      of the server (default: /mcp)
`;

async function run(): Promise<number> {
	const text = { type: 'string' } as const;
	const { values } = parseArgs({
		options: {
			help: { type: 'boolean' },
			config: text,
			env: text,
			binding: text,
			info: text,
			kv: text,
			path: text,
		},
	});
	const { help, config, env, binding, info, kv, path } = values;
	if (help) {
		console.log(USAGE);
		return 0;
	}
	if (info !== undefined && info !== 'kv' && info !== 'object') {
		throw new TypeError(`--info is kv or object, not ${info}`);
	}
	const problems = await checkWorker({
		directory: process.cwd(),
		config,
		env,
		...(binding !== undefined && { binding }),
		...(info !== undefined && { info }),
		...(kv !== undefined && { kv }),
		...(path !== undefined && { path }),
	});
	for (const { message } of problems) console.error(`- ${message}`);
	console.error(problems.length === 0 ? 'Nothing is wrong.' : `${problems.length} wrong.`);
	return problems.length === 0 ? 0 : 1;
}

try {
	process.exitCode = await run();
} catch (error) {
	console.error(`${String(error)}\n\n${USAGE}`);
	process.exitCode = 2;
}

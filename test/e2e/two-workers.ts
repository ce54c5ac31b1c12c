import {
	type DevServer,
	type DevServerOptions,
	startDevServer,
} from '../../examples/quickstart/demo/dev-server.ts';

/** The quickstart under `/quickstart/`, and another Worker, bound to its object, under `/second/`. */
export interface TwoWorkers extends DevServer {
	/** Asks the other Worker. */
	ask(method: 'GET' | 'POST', path: string, body?: string): Promise<unknown>;
}

export async function startTwoWorkers(
	options: Omit<DevServerOptions, 'configs'> = {},
): Promise<TwoWorkers> {
	const server = await startDevServer({
		...options,
		configs: [
			'test/e2e/workers/front/second-worker.jsonc',
			'wrangler.jsonc',
			'examples/second-worker/wrangler.jsonc',
		],
	});
	return {
		...server,
		async ask(method, path, body) {
			const url = new URL(`/second${path}`, server.url);
			const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
			return response.json();
		},
	};
}

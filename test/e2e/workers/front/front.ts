/**
 * `wrangler dev` shows the first of several Workers only. This one stands in front of the others:
 * `/<binding>/<path>` goes to `<path>` of the Worker that the service binding leads to.
 */
export default {
	fetch(request, env) {
		const url = new URL(request.url);
		const [, binding = '', ...path] = url.pathname.split('/');
		const worker = env[binding];
		if (!worker) return new Response(`no service ${binding}`, { status: 404 });
		url.pathname = path.join('/');
		return worker.fetch(new Request(url, request));
	},
} satisfies ExportedHandler<Record<string, Fetcher>>;

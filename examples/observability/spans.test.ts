import { env, exports } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { ringOnce } from './client.ts';

const [traceId, parentSpanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];

it('sends a span for each event, in the trace of the request that it belongs to', async () => {
	const sent: string[] = [];
	const collector = vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
		expect(url).toBe(`${env.OTLP_ENDPOINT}/v1/traces`);
		sent.push(String(init?.body));
		return new Response();
	});

	await ringOnce((url, init) => exports.default.fetch(url, init), {
		traceparent: `00-${traceId}-${parentSpanId}-01`,
	});

	const spans = () =>
		sent.flatMap((body) => {
			const { resourceSpans } = JSON.parse(body);
			return resourceSpans[0].scopeSpans[0].spans;
		});
	await vi.waitFor(() => {
		const inTrace = spans().filter((span) => span.traceId === traceId);
		for (const span of inTrace) {
			expect(span).toMatchObject({ name: 'tmcp delivered', parentSpanId, kind: 1 });
		}
		for (const side of ['object', 'worker']) {
			const attribute = { key: 'tmcp.side', value: { stringValue: side } };
			expect(inTrace.flatMap(({ attributes }) => attributes)).toContainEqual(attribute);
		}
	});
	expect(spans().map(({ name }) => name)).toContain('tmcp attached');
	collector.mockRestore();
});

import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { DurableObjectStreamSessionManager, KVInfoSessionManager } from '../../../src/index.ts';

/** As a user of plain JavaScript calls it. */
const streams = (binding: unknown): DurableObjectStreamSessionManager =>
	Reflect.construct(DurableObjectStreamSessionManager, [binding]);
const info = (binding: unknown): KVInfoSessionManager =>
	Reflect.construct(KVInfoSessionManager, [binding]);

describe('a binding', () => {
	it('may be left out, named, or given itself', async () => {
		for (const binding of [undefined, 'TMCP_DURABLE_OBJECT', env.TMCP_DURABLE_OBJECT]) {
			expect(await streams(binding).has('nobody')).toBe(false);
		}
		for (const binding of [undefined, 'TMCP_SESSION_INFO', env.TMCP_SESSION_INFO]) {
			expect(await info(binding).getSubscriptions('memo://nothing')).toEqual([]);
		}
	});

	it('that is missing is an error that says what to write into wrangler.jsonc', async () => {
		await expect(streams('STREAMS').has('a')).rejects.toMatchObject({
			code: 'BINDING_MISSING',
			message: expect.stringMatching(
				/"STREAMS".*"name": "STREAMS", "class_name": "SyncLayer".*"exports": \{ "SyncLayer"/,
			),
		});
		await expect(info('INFO').getLogLevel('a')).rejects.toMatchObject({
			code: 'BINDING_MISSING',
			message: expect.stringMatching(/"INFO".*"kv_namespaces": \[\{ "binding": "INFO" \}\]/),
		});
	});

	it('of another kind is an error that says so', async () => {
		await expect(streams('TMCP_SESSION_INFO').has('a')).rejects.toMatchObject({
			code: 'BINDING_WRONG_KIND',
			message: expect.stringContaining('"TMCP_SESSION_INFO" is not a Durable Object namespace'),
		});
		for (const binding of [{}, 1, exports.default]) {
			await expect(streams(binding).has('a')).rejects.toMatchObject({
				code: 'BINDING_WRONG_KIND',
				message: expect.stringContaining('is not a Durable Object namespace'),
			});
		}
		for (const binding of ['TMCP_DURABLE_OBJECT', {}, 1, exports.default]) {
			await expect(info(binding).getLogLevel('a')).rejects.toMatchObject({
				code: 'BINDING_WRONG_KIND',
				message: expect.stringContaining('is not a KV namespace'),
			});
		}
	});
});

import { expect, it } from 'vitest';
import { markRetryable } from '../../src/object/retryable.ts';

it('the runtime is told, which refuses what is no method', async () => {
	await markRetryable(() => {});
	const noMethod = 'no method' as unknown as () => void;
	await expect(markRetryable(noMethod)).rejects.toThrow(TypeError);
});

import * as v from 'valibot';
import { publishFailure } from '../../diagnostics/failure.ts';
import { SessionManagerError } from '../../errors.ts';
import { functionSchema } from '../../wire/options.ts';
import { report } from '../request/report.ts';

type OnError = (error: SessionManagerError) => void | Promise<void>;

/** The option `onError`. */
export const OnErrorSchema = v.optional(
	functionSchema<OnError>(),
	() => (error: SessionManagerError) => console.error(error),
);

/** Tells a user of the writes that failed, which no caller sees. */
export class WriteFailures {
	#onError: OnError;

	constructor(onError: OnError) {
		this.#onError = onError;
	}

	async #tell(failure: unknown): Promise<void> {
		const error =
			SessionManagerError.from(failure) ??
			new SessionManagerError('SESSION_INFO_WRITE_FAILED', String(failure), { cause: failure });
		publishFailure(error);
		await report(this.#onError, error);
	}

	/** Wait for all writes, and tell of each failure. Never rejects. */
	async settle(writes: readonly Promise<void>[]): Promise<void> {
		for (const result of await Promise.allSettled(writes)) {
			if (result.status === 'rejected') await this.#tell(result.reason);
		}
	}
}

import { publishFailure } from '../../diagnostics/failure.ts';
import { SessionManagerError } from '../../errors.ts';
import { report } from '../request/report.ts';

/** Tell a user of a write that failed, which no caller sees. */
export function reportWriteFailure(
	onError: (error: SessionManagerError) => void | Promise<void>,
	failure: unknown,
): Promise<void> {
	const error =
		SessionManagerError.from(failure) ??
		new SessionManagerError('SESSION_INFO_WRITE_FAILED', String(failure), { cause: failure });
	publishFailure(error);
	return report(onError, error);
}

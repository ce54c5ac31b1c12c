import { SessionManagerError, type SessionManagerErrorCode } from '../../src/index.ts';

/** The code of the error with which something fails, or `undefined` where it does not fail. */
export async function codeOf(
	work: () => unknown,
): Promise<SessionManagerErrorCode | 'not coded' | undefined> {
	try {
		await work();
		return undefined;
	} catch (error) {
		return SessionManagerError.from(error)?.code ?? 'not coded';
	}
}

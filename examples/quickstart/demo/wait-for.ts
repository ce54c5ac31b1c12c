const POLL_MS = 20;

/**
 * Ask again and again until there is an answer, neither `undefined` nor `false`.
 *
 * @param limitMs how long to ask, in milliseconds
 * @param what what is waited for, for the error where it does not come in time
 */
export async function waitFor<T>(
	what: string,
	limitMs: number,
	ask: () => T | false | undefined | Promise<T | false | undefined>,
): Promise<T> {
	const deadline = Date.now() + limitMs;
	for (;;) {
		const answer = await ask();
		if (answer !== undefined && answer !== false) return answer;
		if (Date.now() > deadline) throw new Error(`Waited ${limitMs} ms in vain for ${what}.`);
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
}

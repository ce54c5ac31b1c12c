/** Tell a user's `onError` of a failure that nobody else is told of. It may throw, or reject: that harms nothing else. */
export async function report<Failure>(
	onError: (failure: Failure) => unknown,
	failure: Failure,
): Promise<void> {
	try {
		await onError(failure);
	} catch (thrown) {
		console.error(failure, 'was to be reported, but onError threw', thrown);
	}
}

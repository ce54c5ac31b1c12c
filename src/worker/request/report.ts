/** Call a callback that a user gave. Where it throws or rejects, that is logged, and harms nothing else. */
export async function report<News>(callback: (news: News) => unknown, news: News): Promise<void> {
	try {
		await callback(news);
	} catch (thrown) {
		// Anything but an error is or has a session id, which must not be logged: it is a credential.
		const what = news instanceof Error ? news : 'Something';
		console.error(what, 'was to be reported, but the callback threw', thrown);
	}
}

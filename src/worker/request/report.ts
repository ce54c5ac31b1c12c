/** Tell a user's callback what nobody else is told of. It may throw, or reject: that harms nothing else. */
export async function report<News>(callback: (news: News) => unknown, news: News): Promise<void> {
	try {
		await callback(news);
	} catch (thrown) {
		// An error would be lost. Anything else names a session, which belongs in no log: its id is a credential.
		const what = news instanceof Error ? news : 'Something';
		console.error(what, 'was to be reported, but the callback threw', thrown);
	}
}

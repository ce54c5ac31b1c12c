/** Tell a user's callback what nobody else is told of. It may throw, or reject: that harms nothing else. */
export async function report<News>(callback: (news: News) => unknown, news: News): Promise<void> {
	try {
		await callback(news);
	} catch (thrown) {
		console.error(news, 'was to be reported, but the callback threw', thrown);
	}
}

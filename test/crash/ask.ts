import { Agent, request } from 'node:http';

/** How long an answer may take, in milliseconds: longer than any pause of the process. */
const ANSWER_LIMIT_MS = 15_000;

const agent = new Agent({ keepAlive: true });

export interface Answer {
	status: number;
	sessionId: string | undefined;
	text: string;
}

/** A request that is answered at once. Rejects where the connection breaks. */
export function ask(
	method: 'POST' | 'DELETE',
	url: URL,
	headers: Record<string, string>,
	body?: unknown,
): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const asked = request(
			url,
			{ agent, method, headers: { 'content-type': 'application/json', ...headers } },
			(response) => {
				const { statusCode = 0 } = response;
				const id = response.headers['mcp-session-id'];
				const sessionId = typeof id === 'string' ? id : undefined;
				let text = '';
				response.setEncoding('utf8');
				response.on('data', (chunk: string) => (text += chunk));
				response.on('end', () => resolve({ status: statusCode, sessionId, text }));
				response.on('error', reject);
			},
		);
		asked.setTimeout(ANSWER_LIMIT_MS, () => asked.destroy(new Error('There was no answer.')));
		asked.on('error', reject);
		asked.end(body === undefined ? undefined : JSON.stringify(body));
	});
}

/**
 * The id under which a server's request goes to its client: 244 random bits, so that nobody answers a request that was not
 * shown to them.
 */
export interface WireId {
	/** The connection on which the answer is waited for. */
	connectionId: string;
	/** The request, among those that wait on this connection. */
	questionId: string;
}

const UUID = '[\\da-f]{8}(?:-[\\da-f]{4}){3}-[\\da-f]{12}';
const PATTERN = new RegExp(`^(${UUID})\\.(${UUID})$`);

/** `<connection id>.<question id>`, as it stands in the `id` of the request and of its answer. */
export function formatWireId({ connectionId, questionId }: WireId): string {
	return `${connectionId}.${questionId}`;
}

/** @returns `undefined` for what is no wire id, such as a number that tmcp made */
export function parseWireId(id: unknown): WireId | undefined {
	const [, connectionId, questionId] = (typeof id === 'string' && PATTERN.exec(id)) || [];
	return connectionId === undefined || questionId === undefined
		? undefined
		: { connectionId, questionId };
}

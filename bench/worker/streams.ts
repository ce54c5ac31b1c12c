/** The part of tmcp's `StreamSessionManager` that is measured. */
export interface Streams {
	create(id: string, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void>;
	delete(id: string): Promise<void>;
	has(id: string): Promise<boolean>;
	send(sessions: string[] | undefined, data: string): Promise<void>;
}

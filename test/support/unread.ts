import type { DurableObjectStreamSessionManager } from '../../src/index.ts';

/** A stream whose client does not read. */
export function unread(streams: DurableObjectStreamSessionManager, id: string) {
	let started = Promise.resolve();
	let desiredSize = (): number | null => null;
	const body = new ReadableStream<Uint8Array>({
		start(controller) {
			desiredSize = () => controller.desiredSize;
			started = streams.create(id, controller);
			return started;
		},
		cancel: () => streams.delete(id),
	});
	return { body, started, desiredSize };
}

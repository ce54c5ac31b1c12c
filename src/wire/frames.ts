/**
 * What one message on a socket carries: the payload of an event, and the event's position in the log, if it has one. An
 * empty payload means the position alone: this socket has got all that was for it up to there.
 */
export interface Frame {
	seq: number | undefined;
	data: string;
}

/** The position, a line feed, the payload. */
export function encodeFrame({ seq, data }: Frame): string {
	return `${seq ?? ''}\n${data}`;
}

/** @returns `undefined` if `text` is not a frame */
export function decodeFrame(text: unknown): Frame | undefined {
	const [, position, data] = (typeof text === 'string' && FRAME.exec(text)) || [];
	if (position === undefined || data === undefined) return undefined;
	return { seq: position === '' ? undefined : Number(position), data };
}

const FRAME = /^(\d{0,15})\n([\s\S]*)$/;

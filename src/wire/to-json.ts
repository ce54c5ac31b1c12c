import { SessionManagerError } from '../errors.ts';

/**
 * Something that was given, as JSON of at most `max` characters.
 *
 * It is counted while it is written: where the same object is named again and again, or an array is empty but long, a few
 * bytes of a call stand for more text than an isolate has memory.
 *
 * @throws `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT` for what JSON cannot say
 */
export function toJson(input: unknown, max: number): string {
	let left = max;
	/** Counts no more characters than the JSON will have. */
	function count(this: unknown, key: string, value: unknown): unknown {
		if (value !== undefined && !Array.isArray(this)) left -= key.length;
		if (typeof value === 'string') left -= writtenLength(value, left);
		else left -= Array.isArray(value) ? 2 * value.length : 1;
		if (left < 0) throw tooLarge(max);
		return value;
	}
	try {
		const json = JSON.stringify(input, count) ?? 'null';
		if (json.length > max) throw tooLarge(max);
		return json;
	} catch (error) {
		if (error instanceof SessionManagerError) throw error;
		const why = error instanceof Error ? error.message : typeof error;
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`what was given cannot be written as JSON (${why}).`,
			{ cause: error },
		);
	}
}

/** How many characters a string has in JSON, at least: looked at only where that may be over the limit. */
function writtenLength(text: string, left: number): number {
	if (text.length * 6 <= left) return text.length;
	let length = text.length;
	for (let at = 0; at < text.length && length <= left; at++) {
		// A control character is written as \u0000; some of them, a quote and a backslash are shorter.
		const code = text.charCodeAt(at);
		if (code < 8 || (code > 13 && code < 32)) length += 5;
	}
	return length;
}

function tooLarge(max: number): SessionManagerError {
	return new SessionManagerError(
		'PAYLOAD_TOO_LARGE',
		`what was given takes more than the ${max} characters as JSON that are left of the limit. Send a link to the content, or split it.`,
	);
}

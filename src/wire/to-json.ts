import { SessionManagerError } from '../errors.ts';

/** Whether it is an object as JSON has it: no array, no instance of a class, none that is written as something else. */
export function isPlainObject(value: unknown): boolean {
	if (typeof value !== 'object' || value === null) return false;
	const prototype: unknown = Object.getPrototypeOf(value);
	if (prototype !== Object.prototype && prototype !== null) return false;
	return typeof Reflect.get(value, 'toJSON') !== 'function';
}

/**
 * Something that was given, as JSON of at most `max` characters. A property that is `undefined` counts as missing; anything
 * else that JSON would leave out or write as something else (a `Map`, a function, `NaN`) is refused.
 *
 * It is counted while it is written: where the same object is named again and again, or an array is empty but long, a few
 * bytes of a call stand for more text than an isolate has memory.
 *
 * @throws `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT` for what JSON cannot say
 */
export function toJson(input: unknown, max: number): string {
	let left = max;
	/** Counts no more characters than the JSON will have. */
	function count(this: object, key: string, value: unknown): unknown {
		assertJson(this, key, value);
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

/** @param value what the property of the holder is written as: another one where it has a `toJSON` */
function assertJson(holder: object, key: string, value: unknown): void {
	switch (typeof value) {
		case 'string':
		case 'boolean':
			break;
		case 'number':
			if (!Number.isFinite(value)) throw notJson('a number that is not finite');
			break;
		case 'undefined':
			if (Array.isArray(holder)) throw notJson('undefined in an array');
			break;
		case 'object':
			if (value === null || Array.isArray(value) || isPlainObject(value)) break;
			throw notJson('an object that is not plain');
		default:
			throw notJson(`a ${typeof value}`);
	}
	if (!Object.is(Reflect.get(holder, key), value)) throw notJson('an object that is not plain');
}

function notJson(what: string): SessionManagerError {
	return new SessionManagerError(
		'INVALID_ARGUMENT',
		`${what} is not JSON. Give plain objects, arrays, strings, finite numbers, booleans and null.`,
	);
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

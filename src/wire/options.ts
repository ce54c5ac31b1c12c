import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { validate } from './validate.ts';

/** The longest timer that JavaScript has, in milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A number of things, bytes or milliseconds. */
export const PositiveIntegerSchema = v.pipe(v.number(), v.integer(), v.minValue(1));

/** How long a timer runs, in milliseconds. */
export const TimerSchema = v.pipe(PositiveIntegerSchema, v.maxValue(MAX_TIMER_MS));

/** A function that a user gives. What it takes and answers is unknown until it is called. */
export function functionSchema<Of extends (...of: never[]) => unknown>() {
	return v.custom<Of>((value) => typeof value === 'function', 'not a function');
}

/** Whether a user gave an object that has this method. */
export function hasMethod(value: unknown, name: string): value is object {
	return (
		typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
	);
}

/**
 * The options of a class, with their defaults.
 * @param of the name of the class, for the error text
 * @throws `INVALID_ARGUMENT`
 */
export function parseOptions<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	of: string,
): v.InferOutput<Schema> {
	const missing = undefinedIn(input);
	if (missing !== undefined) {
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`the option ${missing} of ${of} is undefined. Leave it out to have its default.`,
		);
	}
	const result = validate(schema, input === undefined ? {} : input);
	if (result.kind === 'valid') return result.output;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`the options of ${of} are not valid (${result.issue}).`,
	);
}

/**
 * The name of an option that is undefined. Whoever writes `owner: undefined` meant an owner: a default in its place would
 * switch a protection off in silence.
 */
function undefinedIn(options: unknown): string | undefined {
	if (typeof options !== 'object' || options === null) return undefined;
	for (const [name, value] of Object.entries(options)) {
		if (value === undefined) return name;
		const isPlain = Object.getPrototypeOf(Object(value)) === Object.prototype;
		const inner = isPlain ? undefinedIn(value) : undefined;
		if (inner !== undefined) return `${name}.${inner}`;
	}
	return undefined;
}

/** valibot schemas for all that crosses RPC or comes out of storage: types protect nobody at run time. */
import * as v from 'valibot';
import { quote, SessionManagerError, type SessionManagerErrorCode } from '../errors.ts';
import {
	broadcastBytes,
	MAX_BROADCAST_BYTES,
	MAX_ORIGIN_CHARS,
	MAX_SESSION_ID_CHARS,
	MAX_SUBSCRIPTION_BYTES,
} from './limits.ts';
import { validate } from './validate.ts';

/** A function that a user gives. Of what it takes and answers nothing can be told before it is called. */
export function functionSchema<Of extends (...of: never[]) => unknown>() {
	return v.custom<Of>((value) => typeof value === 'function', 'not a function');
}

/** What JSON calls an object: no array, no instance of a class. */
function isPlainObject(value: unknown): boolean {
	if (typeof value !== 'object' || value === null) return false;
	const prototype: unknown = Object.getPrototypeOf(value);
	return prototype === Object.prototype || prototype === null;
}

/** A plain object with these entries and no others. valibot alone takes an array or a `Map` for an empty object. */
function plainObject<const Entries extends v.ObjectEntries>(entries: Entries) {
	const schema = v.strictObject(entries);
	return v.pipe(
		v.custom<v.InferInput<typeof schema>>(isPlainObject, 'the value is not a plain object'),
		schema,
	);
}

const uuid = (of: string) => v.optional(v.pipe(v.string(), v.uuid(`${of} is not a UUID`)));
const count = (issue: string, min: number) =>
	v.pipe(v.number(), v.integer(issue), v.minValue(min, issue));

const SessionIdSchema = v.pipe(
	v.string('is not a string'),
	v.minLength(1, 'is empty'),
	v.maxLength(MAX_SESSION_ID_CHARS, `is longer than ${MAX_SESSION_ID_CHARS} characters`),
	v.regex(/^[\x21-\x7e]*$/, 'has a character outside visible ASCII (0x21–0x7E)'),
);

/** A SHA-256 in base64url. */
const OwnerSchema = v.pipe(
	v.string('owner is not a string'),
	v.regex(/^[\w-]{43}$/, 'owner is not 43 characters of base64url: give a SHA-256'),
);

const BeginOptionsSchema = plainObject({ account: v.optional(OwnerSchema) });

const AttachOptionsSchema = plainObject({
	ticket: uuid('ticket'),
	connectionId: uuid('connectionId'),
	lastEventId: v.optional(v.string('lastEventId is not a string')),
	resume: v.optional(v.boolean('resume is not a boolean')),
	owner: v.optional(OwnerSchema),
	window: v.optional(count('window is not a number of bytes', 1)),
});

const DetachOptionsSchema = plainObject({
	connectionId: uuid('connectionId'),
	position: v.optional(count('position is not a position in the log', 0)),
});

const SubscriptionFilterSchema = plainObject({
	toolsListChanged: v.optional(v.boolean()),
	promptsListChanged: v.optional(v.boolean()),
	resourcesListChanged: v.optional(v.boolean()),
	resourceSubscriptions: v.optional(v.array(v.string())),
});

const SubscriptionIdSchema = v.union(
	[v.pipe(v.string(), v.maxLength(MAX_ORIGIN_CHARS)), v.pipe(v.number(), v.finite())],
	`id is neither a string of at most ${MAX_ORIGIN_CHARS} characters nor a finite number`,
);

const OriginSchema = v.pipe(
	v.string('origin is not a string'),
	v.minLength(1, 'origin is empty'),
	v.maxLength(MAX_ORIGIN_CHARS, `origin is longer than ${MAX_ORIGIN_CHARS} characters`),
	v.check((origin) => origin.isWellFormed(), 'origin is not well-formed Unicode'),
);

export const SubscriptionSchema = v.object({
	id: SubscriptionIdSchema,
	origin: OriginSchema,
	filters: SubscriptionFilterSchema,
});

const SubscribeOptionsSchema = plainObject({
	ticket: uuid('ticket'),
	connectionId: uuid('connectionId'),
	lastEventId: v.optional(v.string('lastEventId is not a string')),
	resume: v.optional(count('resume is not what the first call answered as began', 0)),
	account: v.optional(OwnerSchema),
});

const SubscriptionTargetSchema = v.union([
	plainObject({ origin: OriginSchema, id: SubscriptionIdSchema }),
	plainObject({ origin: OriginSchema }),
	plainObject({}),
]);

const ReasonSchema = v.picklist(
	['closed', 'cancelled'],
	"the reason is neither 'closed' nor 'cancelled'",
);

export const NotificationSchema = v.looseObject({
	jsonrpc: v.literal('2.0'),
	method: v.string(),
	params: v.optional(v.record(v.string(), v.unknown())),
});

const NotificationsSchema = v.array(
	NotificationSchema,
	'notifications is not an array of JSON-RPC notifications',
);

const SendOptionsSchema = plainObject({ id: uuid('id') });

const BroadcastSchema = v.object({
	sessions: v.optional(
		v.array(v.unknown(), 'sessions is neither an array of session ids nor undefined'),
	),
	data: v.string('data is not a string'),
});

const BatchSchema = v.array(
	v.strictObject({ sessions: v.unknown(), data: v.unknown(), id: v.optional(v.unknown()) }),
	'the batch is not an array',
);

/** One payload of `SyncLayer.broadcastBatch`, as the arguments of `broadcast`. */
export interface BroadcastInput {
	sessions: readonly string[] | undefined;
	data: string;
	id?: string | undefined;
}

/** `options` of `SyncLayer.begin`. */
export type BeginOptions = v.InferInput<typeof BeginOptionsSchema>;
/** `options` of `SyncLayer.attach`. */
export type AttachOptions = v.InferInput<typeof AttachOptionsSchema>;
/** `options` of `SyncLayer.detach`. */
export type DetachOptions = v.InferInput<typeof DetachOptionsSchema>;
/** `options` of `SyncLayer.broadcast`, `publish` and `unsubscribe`. */
export type SendOptions = v.InferInput<typeof SendOptionsSchema>;
/** `options` of `SyncLayer.subscribe`. */
export type SubscribeOptions = v.InferInput<typeof SubscribeOptionsSchema>;
/** Which subscriptions `SyncLayer.unsubscribe` ends: one, those of an origin, or all. */
export type SubscriptionTarget = v.InferOutput<typeof SubscriptionTargetSchema>;
/** One `subscriptions/listen` stream: its request id, where it comes from, and what it wants to hear of. */
export type SubscriptionInput = v.InferOutput<typeof SubscriptionSchema>;
/** A JSON-RPC notification. */
export type Notification = v.InferOutput<typeof NotificationsSchema>[number];
/** Why a subscription ends. */
export type SubscriptionEnd = v.InferOutput<typeof ReasonSchema>;

/** @param hint what is taken, added to what was wrong */
function parse<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	hint: string,
	code: SessionManagerErrorCode = 'INVALID_ARGUMENT',
): v.InferOutput<Schema> {
	const result = validate(schema, input);
	if (result.kind === 'valid') return result.output;
	throw new SessionManagerError(code, `${result.issue}. ${hint}`);
}

/** A parser of the options of one method: all may be missing. */
function optionsParser<Schema extends v.GenericSchema>(schema: Schema, hint: string) {
	return (input: unknown): v.InferOutput<Schema> =>
		parse(schema, input === undefined ? {} : input, hint);
}

/** @throws `INVALID_ARGUMENT` */
export const parseBeginOptions = optionsParser(
	BeginOptionsSchema,
	'The options of begin are { account?: string }.',
);

/** @throws `INVALID_ARGUMENT` */
export const parseAttachOptions = optionsParser(
	AttachOptionsSchema,
	'The options of attach are { ticket?: UUID, connectionId?: UUID, lastEventId?: string, resume?: boolean, owner?: string, window?: integer }.',
);

/** @throws `INVALID_ARGUMENT` */
export const parseDetachOptions = optionsParser(
	DetachOptionsSchema,
	'The options of detach are { connectionId?: UUID, position?: integer }.',
);

/** @throws `INVALID_ARGUMENT` */
export const parseSubscribeOptions = optionsParser(
	SubscribeOptionsSchema,
	'The options of subscribe are { ticket?: UUID, connectionId?: UUID, lastEventId?: string, resume?: integer, account?: string }.',
);

/** @throws `INVALID_ARGUMENT` */
export function parseSendOptions(input: unknown, method: string): SendOptions {
	if (input === undefined) return {};
	return parse(SendOptionsSchema, input, `The options of ${method} are { id?: UUID }.`);
}

/** @throws `INVALID_SESSION_ID` */
export function parseSessionId(input: unknown): string {
	if (isSessionId(input)) return input;
	const issue = v.safeParse(SessionIdSchema, input, { abortEarly: true }).issues?.[0].message;
	// The value itself is not quoted where it may be a session id: that is a credential.
	const value = typeof input === 'string' ? `of ${input.length} characters` : quote(input);
	throw new SessionManagerError(
		'INVALID_SESSION_ID',
		`the session id (${value}) ${issue}. Use 1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters, for example crypto.randomUUID().`,
	);
}

const SESSION_ID = new RegExp(`^[\\x21-\\x7e]{1,${MAX_SESSION_ID_CHARS}}$`);

export function isSessionId(input: unknown): input is string {
	return typeof input === 'string' && SESSION_ID.test(input);
}

/** @throws `INVALID_ARGUMENT` */
export function parseOwner(input: unknown): string {
	return parse(OwnerSchema, input, 'It names the owner of a session.');
}

/**
 * The addressees, each once, and the payload of a broadcast.
 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBroadcast(
	sessions: unknown,
	data: unknown,
	options: unknown,
): { sessions: string[] | undefined; data: string; id: string | undefined } {
	assertNotSparse(sessions);
	const input = parse(
		BroadcastSchema,
		{ sessions, data },
		'Name the sessions as an array of ids, or undefined for all, and give the payload as a string.',
	);
	const { id } = parseSendOptions(options, 'broadcast');
	const addressees = input.sessions && [...new Set(input.sessions.map(parseSessionId))];
	assertFits(addressees, input.data);
	return { sessions: addressees, data: input.data, id };
}

/**
 * Several broadcasts, each of which {@link parseBroadcast} takes.
 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBatch(input: unknown): ReturnType<typeof parseBroadcast>[] {
	assertNotSparse(input);
	return parse(BatchSchema, input, 'Give an array of { sessions, data, id? }.').map(
		({ sessions, data, ...options }) => parseBroadcast(sessions, data, options),
	);
}

/** No array of the platform's 32 MiB has more elements: an empty one that only claims to be longer would be looped over. */
const MAX_ELEMENTS = 16 * 1024 * 1024;

function assertNotSparse(input: unknown): void {
	if (!Array.isArray(input) || input.length <= MAX_ELEMENTS) return;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`an array of ${input.length} elements is longer than ${MAX_ELEMENTS}. Split it.`,
	);
}

function assertFits(addressees: string[] | undefined, data: string): void {
	const bytes = broadcastBytes(addressees, data);
	if (bytes <= MAX_BROADCAST_BYTES) return;
	throw new SessionManagerError(
		'PAYLOAD_TOO_LARGE',
		`a message of ${bytes} bytes is over the platform's limit of ${MAX_BROADCAST_BYTES}. Send a link to the content, or split it.`,
	);
}

export function isOrigin(input: unknown): input is string {
	return v.is(OriginSchema, input);
}

/** @throws `INVALID_ARGUMENT` */
export function parseSubscription(input: unknown): SubscriptionInput {
	const subscription = parse(
		SubscriptionSchema,
		input,
		'A subscription is { id, origin, filters }.',
	);
	const bytes = new TextEncoder().encode(JSON.stringify(subscription)).byteLength;
	if (bytes <= MAX_SUBSCRIPTION_BYTES) return subscription;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`a subscription of ${bytes} bytes is over the limit of ${MAX_SUBSCRIPTION_BYTES}. Name fewer resources, or split it.`,
	);
}

/** @throws `INVALID_ARGUMENT` */
export function parseUnsubscribe(
	target: unknown,
	reason: unknown,
): { target: SubscriptionTarget; reason: SubscriptionEnd } {
	return parse(
		v.object({ target: SubscriptionTargetSchema, reason: ReasonSchema }),
		{ target, reason },
		"The target of unsubscribe is { origin, id }, { origin } or {}, the reason 'closed' or 'cancelled'.",
	);
}

/** @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE` */
export function parseNotifications(input: unknown): Notification[] {
	assertNotSparse(input);
	const notifications = parse(
		NotificationsSchema,
		input,
		"A notification is { jsonrpc: '2.0', method, params? }.",
	);
	assertFits(undefined, toJson(notifications));
	return notifications;
}

/**
 * A notification as JSON has it, so that nothing in it can be refused later, together with others.
 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
 */
export function normaliseNotification(input: unknown): Notification {
	const [notification] = parseNotifications([JSON.parse(toJson(input))]);
	if (notification) return notification;
	throw new SessionManagerError('INVALID_ARGUMENT', 'there is no notification to send.');
}

function toJson(input: unknown): string {
	try {
		return JSON.stringify(input) ?? 'null';
	} catch (error) {
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`the notification cannot be written as JSON (${String(error)}).`,
			{ cause: error },
		);
	}
}

/** @throws `INVALID_ARGUMENT` */
export function parseUri(input: unknown): string {
	return parse(v.string(), input, `The URI of a resource is a string, not ${quote(input)}.`);
}

/**
 * The options of a class, with their defaults.
 * @throws `INVALID_ARGUMENT`
 */
export function parseOptions<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	of: string,
): v.InferOutput<Schema> {
	const result = validate(schema, input === undefined ? {} : input);
	if (result.kind === 'valid') return result.output;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`${of}: the option ${result.path ?? 'object'} is not valid (${result.issue}).`,
	);
}

/** valibot schemas for all that crosses RPC or comes out of storage: types protect nobody at run time. */
import * as v from 'valibot';
import { quote, SessionManagerError, type SessionManagerErrorCode } from '../errors.ts';
import {
	broadcastBytes,
	MAX_BROADCAST_BYTES,
	MAX_ORIGIN_CHARS,
	MAX_SESSION_ID_CHARS,
	MAX_SUBSCRIPTION_BYTES,
} from './protocol.ts';

const SessionIdSchema = v.pipe(
	v.string('is not a string'),
	v.minLength(1, 'is empty'),
	v.maxLength(MAX_SESSION_ID_CHARS, `is longer than ${MAX_SESSION_ID_CHARS} characters`),
	v.regex(/^[\x21-\x7e]*$/, 'has a character outside visible ASCII (0x21–0x7E)'),
);

/** A SHA-256 in base64url. */
const OwnerSchema = v.pipe(
	v.string('is not a string'),
	v.regex(/^[\w-]{43}$/, 'is not 43 characters of base64url'),
);

const AttachOptionsSchema = v.strictObject({
	ticket: v.optional(v.pipe(v.string(), v.uuid('ticket is not a UUID'))),
	connectionId: v.optional(v.pipe(v.string(), v.uuid('connectionId is not a UUID'))),
	lastEventId: v.optional(v.string('lastEventId is not a string')),
	resume: v.optional(v.boolean('resume is not a boolean')),
	owner: v.optional(OwnerSchema),
	window: v.optional(
		v.pipe(v.number(), v.integer(), v.minValue(1, 'window is not a number of bytes')),
	),
});

const DetachOptionsSchema = v.strictObject({
	connectionId: v.optional(v.pipe(v.string(), v.uuid('connectionId is not a UUID'))),
	position: v.optional(
		v.pipe(v.number(), v.integer(), v.minValue(0, 'position is not a place in the log')),
	),
	forget: v.optional(v.boolean('forget is not a boolean')),
});

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

const SubscriptionFilterSchema = v.pipe(
	v.custom<object>(isPlainObject, 'filters is not an object'),
	v.strictObject({
		toolsListChanged: v.optional(v.boolean()),
		promptsListChanged: v.optional(v.boolean()),
		resourcesListChanged: v.optional(v.boolean()),
		resourceSubscriptions: v.optional(v.array(v.string())),
	}),
);

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

const SubscribeOptionsSchema = v.strictObject({
	ticket: v.optional(v.pipe(v.string(), v.uuid('ticket is not a UUID'))),
	connectionId: v.optional(v.pipe(v.string(), v.uuid('connectionId is not a UUID'))),
	lastEventId: v.optional(v.string('lastEventId is not a string')),
	resume: v.optional(v.boolean('resume is not a boolean')),
});

const SubscriptionTargetSchema = v.union([
	v.strictObject({ origin: OriginSchema, id: SubscriptionIdSchema }),
	v.strictObject({ origin: OriginSchema }),
	v.strictObject({}),
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

const SendOptionsSchema = v.strictObject({
	id: v.optional(v.pipe(v.string(), v.uuid('id is not a UUID'))),
});

const BroadcastSchema = v.strictObject({
	...SendOptionsSchema.entries,
	sessions: v.optional(v.array(v.unknown(), 'sessions is not an array of session ids')),
	data: v.string('data is not a string'),
});

const BroadcastsSchema = v.array(
	v.strictObject({ sessions: v.unknown(), data: v.unknown(), id: v.optional(v.unknown()) }),
);

/** One payload of `SyncLayer.broadcastAll`, as the arguments of `broadcast`. */
export interface BroadcastInput {
	sessions: readonly string[] | undefined;
	data: string;
	id?: string | undefined;
}

/** `options` of `SyncLayer.attach`. */
export type AttachOptions = v.InferInput<typeof AttachOptionsSchema>;
/** `options` of `SyncLayer.broadcast` and `SyncLayer.publish`. */
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
/** `options` of `SyncLayer.detach`. */
export type DetachOptions = v.InferInput<typeof DetachOptionsSchema>;

function parse<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	code: SessionManagerErrorCode,
	describe: (issue: string) => string,
): v.InferOutput<Schema> {
	const result = v.safeParse(schema, input);
	if (result.success) return result.output;
	throw new SessionManagerError(code, describe(result.issues[0].message));
}

/** @throws `INVALID_SESSION_ID` */
export function parseSessionId(input: unknown): string {
	return parse(
		SessionIdSchema,
		input,
		'INVALID_SESSION_ID',
		(issue) =>
			`the session id ${quote(input)} ${issue}. Use 1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters, for example crypto.randomUUID().`,
	);
}

export function isSessionId(input: unknown): input is string {
	return v.is(SessionIdSchema, input);
}

/** @throws `INVALID_ARGUMENT` */
export function parseOwner(input: unknown): string {
	return parse(
		OwnerSchema,
		input,
		'INVALID_ARGUMENT',
		(issue) => `the owner ${issue}. Give the SHA-256 of what names the owner.`,
	);
}

/** @throws `INVALID_ARGUMENT` */
export function parseAttachOptions(input: unknown): AttachOptions {
	return parse(
		AttachOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) =>
			`attach(sessionId, options): ${issue}. Options are { ticket?: UUID, connectionId?: UUID, lastEventId?: string, resume?: boolean, owner?: string }.`,
	);
}

/** @throws `INVALID_ARGUMENT` */
export function parseDetachOptions(input: unknown): DetachOptions {
	return parse(
		DetachOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) =>
			`detach(sessionId, options): ${issue}. Options are { connectionId?: UUID, position?: integer, forget?: boolean }.`,
	);
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
	const input = parse(
		BroadcastSchema,
		{ sessions: sessions ?? undefined, data, ...parseSendOptions(options, 'broadcast') },
		'INVALID_ARGUMENT',
		(issue) =>
			`broadcast(sessions, data): ${issue}. Name the sessions as an array of ids, or undefined for all, and give the payload as a string.`,
	);
	const addressees = input.sessions && [...new Set(input.sessions.map(parseSessionId))];
	assertFits(addressees, input.data);
	return { sessions: addressees, data: input.data, id: input.id };
}

/**
 * Several broadcasts, each of which {@link parseBroadcast} takes.
 * @throws `INVALID_ARGUMENT`, `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBroadcasts(input: unknown): ReturnType<typeof parseBroadcast>[] {
	return parse(
		BroadcastsSchema,
		input,
		'INVALID_ARGUMENT',
		(issue) => `broadcastAll(broadcasts): ${issue}. Give an array of { sessions, data, id? }.`,
	).map(({ sessions, data, ...options }) => parseBroadcast(sessions, data, options));
}

/** @throws `INVALID_ARGUMENT` */
export function parseSendOptions(input: unknown, method: string): SendOptions {
	return parse(
		SendOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) => `${method}(…, options): ${issue}. Options are { id?: UUID }.`,
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
		'INVALID_ARGUMENT',
		(issue) => `the subscription is not valid: ${issue}. It is { id, origin, filters }.`,
	);
	const bytes = new TextEncoder().encode(JSON.stringify(subscription)).byteLength;
	if (bytes <= MAX_SUBSCRIPTION_BYTES) return subscription;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`a subscription of ${bytes} bytes is over the limit of ${MAX_SUBSCRIPTION_BYTES}. Name fewer resources, or split it.`,
	);
}

/** @throws `INVALID_ARGUMENT` */
export function parseSubscribeOptions(input: unknown): SubscribeOptions {
	return parse(
		SubscribeOptionsSchema,
		input ?? {},
		'INVALID_ARGUMENT',
		(issue) =>
			`subscribe(subscription, options): ${issue}. Options are { ticket?: UUID, connectionId?: UUID, lastEventId?: string, resume?: boolean }.`,
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
		'INVALID_ARGUMENT',
		(issue) =>
			`unsubscribe(target, reason): ${issue}. The target is { origin, id }, { origin } or {}, the reason 'closed' or 'cancelled'.`,
	);
}

export function parseSubscriptionEnd(input: unknown): SubscriptionEnd {
	return parse(ReasonSchema, input, 'INVALID_ARGUMENT', (issue) => issue);
}

/** @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE` */
export function parseNotifications(input: unknown): Notification[] {
	const notifications = parse(
		NotificationsSchema,
		input,
		'INVALID_ARGUMENT',
		(issue) =>
			`publish(notifications): ${issue}. A notification is { jsonrpc: '2.0', method, params? }.`,
	);
	assertFits(undefined, JSON.stringify(notifications));
	return notifications;
}

/**
 * A notification as JSON has it, so that nothing in it can be refused later, together with others.
 * @throws `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`
 */
export function normaliseNotification(input: unknown): Notification {
	let json: unknown;
	try {
		json = JSON.parse(JSON.stringify(input) ?? 'null');
	} catch (error) {
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			`send(notification): it cannot be written as JSON (${String(error)}).`,
			{ cause: error },
		);
	}
	const [notification] = parseNotifications([json]);
	if (notification) return notification;
	throw new SessionManagerError('INVALID_ARGUMENT', 'send(notification): there is none.');
}

/** @throws `INVALID_ARGUMENT` */
export function parseUri(input: unknown): string {
	return parse(
		v.string(),
		input,
		'INVALID_ARGUMENT',
		() => `the resource URI is not a string but ${quote(input)}.`,
	);
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
	const result = v.safeParse(schema, input ?? {});
	if (result.success) return result.output;
	const [issue] = result.issues;
	throw new SessionManagerError(
		'INVALID_ARGUMENT',
		`${of}: the option ${v.getDotPath(issue) ?? 'object'} is not valid (${issue.message}).`,
	);
}

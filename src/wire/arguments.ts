/**
 * The arguments of `SyncLayer`'s methods. They are checked because a caller by RPC may pass anything, whatever its types
 * say. All parsers throw `INVALID_ARGUMENT`; where one throws something else, it says so.
 */
import * as v from 'valibot';
import { quote, SessionManagerError } from '../errors.ts';
import { boundEventId } from './event-id.ts';
import { MAX_HOMES, parseHome, REGIONS } from './home.ts';
import { INSPECTED_BY_DEFAULT, MAX_INSPECTED } from './inspection.ts';
import {
	broadcastBytes,
	byteLength,
	leastBytes,
	MAX_ADDRESSEES,
	MAX_ANSWER_BYTES,
	MAX_ANSWER_TIMEOUT_MS,
	MAX_BATCH_ITEMS,
	MAX_BROADCAST_BYTES,
	MAX_INFO_CHANGES,
	MAX_ORIGIN_CHARS,
	MAX_QUESTIONS_PER_SESSION,
	MAX_SESSION_ID_CHARS,
	MAX_SUBSCRIPTION_BYTES,
	MAX_URI_CHARS,
} from './limits.ts';
import { PositiveIntegerSchema } from './options.ts';
import { SESSION_INFO_ENTRIES } from './session-info.ts';
import { isPlainObject, toJson } from './to-json.ts';
import { validate } from './validate.ts';

/** valibot alone takes an array or a `Map` for an empty object. */
function plain<Schema extends v.GenericSchema>(schema: Schema) {
	return v.pipe(v.custom<v.InferInput<Schema>>(isPlainObject, 'not a plain object'), schema);
}

/** A plain object with these entries and no others. */
function plainObject<const Entries extends v.ObjectEntries>(entries: Entries) {
	return plain(v.strictObject(entries));
}

/**
 * An array of at most so many items. Its length is asked before they are: one that is empty may claim to have four
 * thousand million.
 */
function arrayOf<Item extends v.GenericSchema>(item: Item, max: number) {
	return v.pipe(
		v.custom<v.InferInput<Item>[]>(
			(input) => !Array.isArray(input) || input.length <= max,
			`more than ${max} items`,
		),
		v.array(item),
	);
}

const Uuid = v.pipe(v.string(), v.uuid('not a UUID'));
const LastEventId = v.pipe(v.string(), v.transform(boundEventId));
/** A position in the log, or a time. */
const Natural = v.pipe(v.number(), v.integer(), v.minValue(0));

function hashSchema(what: string) {
	return v.pipe(v.string(), v.regex(/^[\w-]{43}$/, `not 43 characters of base64url: give ${what}`));
}

const OwnerSchema = hashSchema('a SHA-256');
const ResourceSchema = hashSchema('the SHA-256 of the URI');

/** What is to be known of a session from now on; `null` forgets it. */
const InfoSchema = plainObject({
	clientInfo: v.optional(v.nullable(SESSION_INFO_ENTRIES.clientInfo)),
	clientCapabilities: v.optional(v.nullable(SESSION_INFO_ENTRIES.clientCapabilities)),
	logLevel: v.optional(v.nullable(SESSION_INFO_ENTRIES.logLevel)),
});

const InfoChangesSchema = arrayOf(
	plainObject({
		/** What is known of the client from now on. */
		set: v.optional(InfoSchema),
		/** Subscribe to a resource: the SHA-256 of its URI in base64url. */
		subscribe: v.optional(ResourceSchema),
		/** Unsubscribe from one. */
		unsubscribe: v.optional(ResourceSchema),
		/** Leave nothing. */
		forget: v.optional(v.literal(true)),
	}),
	MAX_INFO_CHANGES,
);

const InspectedLimit = v.optional(
	v.pipe(PositiveIntegerSchema, v.maxValue(MAX_INSPECTED)),
	INSPECTED_BY_DEFAULT,
);

/** A page of a list, for `SyncLayer.inspect`. */
const PageSchema = plainObject({
	after: v.optional(v.pipe(v.string(), v.maxLength(MAX_SESSION_ID_CHARS))),
	limit: InspectedLimit,
});

/** The options of each method that has some of its own. */
const OPTIONS = {
	begin: plainObject({
		/** What all sessions of one owner have in common, so that they are counted: a SHA-256 in base64url. */
		account: v.optional(OwnerSchema),
		/** What is known of the client. It is stored in the same row. */
		info: v.optional(InfoSchema),
	}),
	attach: plainObject({
		/** A UUID that the caller made, so that the upgrade can leave together with this call. */
		ticket: v.optional(Uuid),
		/** A UUID that the caller made, so that the stream can be detached before the answer is here. */
		connectionId: v.optional(Uuid),
		/** The last event that the client has, as it stands on its `id` line. */
		lastEventId: v.optional(LastEventId),
		/** Only if `connectionId` served the session last. */
		resume: v.optional(v.boolean()),
		/** Only if `admit` would say so: a SHA-256 in base64url. Required for a session that was begun with an owner. */
		owner: v.optional(OwnerSchema),
		/** Bytes of a replay that are sent on one socket, each event counting 1 KiB more than its size (default: no limit). */
		window: v.optional(PositiveIntegerSchema),
		/** Answer the key of the object as well, for streams that are opened in one request. */
		withKey: v.optional(v.boolean()),
	}),
	detach: plainObject({
		/** Close that stream only, and leave a newer one alone. */
		connectionId: v.optional(Uuid),
		/** The last event that its client took (default: the last that was handed over). */
		position: v.optional(Natural),
	}),
	broadcast: plainObject({
		/** A UUID. What is repeated with the same id within a minute is sent once. */
		id: v.optional(Uuid),
		/** Send to the sessions that are subscribed to it: the SHA-256 of its URI in base64url. */
		resource: v.optional(ResourceSchema),
	}),
	ask: plainObject({
		/** A UUID, the same for each socket that this asker has, one after another. */
		connectionId: Uuid,
		/** A UUID, where it is to open a socket. */
		ticket: v.optional(Uuid),
	}),
	listSessions: plainObject({
		/** The last session id of the page before. */
		after: v.optional(v.string()),
		/** 1 to 1,000 (default 100). */
		limit: v.optional(v.pipe(PositiveIntegerSchema, v.maxValue(1_000))),
	}),
	inspect: plainObject({
		sessions: v.optional(PageSchema),
		listeners: v.optional(PageSchema),
		log: v.optional(
			plainObject({
				after: v.optional(Natural),
				before: v.optional(Natural),
				limit: InspectedLimit,
				payloads: v.optional(v.boolean()),
			}),
		),
	}),
	subscribe: plainObject({
		/** A UUID that the caller made. */
		ticket: v.optional(Uuid),
		/** A UUID that the caller made. With the same one as before, a subscription comes back to its own place. */
		connectionId: v.optional(Uuid),
		/** The last event that it has. */
		lastEventId: v.optional(LastEventId),
		/** It comes back: `began`, as the first call answered it, so that it is told of an end meanwhile. */
		resume: v.optional(Natural),
		/** What all subscriptions of one owner have in common, so that they are counted: a SHA-256 in base64url. */
		account: v.optional(OwnerSchema),
	}),
};

const SendOptionsSchema = plainObject({
	/** A UUID. What is repeated with the same id within a minute is done once. */
	id: v.optional(Uuid),
});

const QuestionsSchema = v.pipe(
	v.array(
		plainObject({
			/** A UUID that the caller made. */
			id: Uuid,
			/** How long it waits for an answer, in milliseconds: at most a day. */
			timeout: v.pipe(
				PositiveIntegerSchema,
				v.maxValue(MAX_ANSWER_TIMEOUT_MS, 'longer than a day'),
			),
		}),
	),
	v.minLength(1, 'no question'),
);

/** More do not fit: each takes three bytes of JSON at least. */
const MAX_URIS = Math.floor(MAX_SUBSCRIPTION_BYTES / 3);

const SubscriptionFilterSchema = plainObject({
	toolsListChanged: v.optional(v.boolean()),
	promptsListChanged: v.optional(v.boolean()),
	resourcesListChanged: v.optional(v.boolean()),
	resourceSubscriptions: v.optional(arrayOf(v.string(), MAX_URIS)),
});

const SubscriptionIdSchema = v.union(
	[v.pipe(v.string(), v.maxLength(MAX_ORIGIN_CHARS)), v.pipe(v.number(), v.finite())],
	`neither a string of at most ${MAX_ORIGIN_CHARS} characters nor a finite number`,
);

/** Two strings that differ in lone surrogates only would have the same hash. */
const WELL_FORMED = v.check((text: string) => text.isWellFormed(), 'not well-formed Unicode');

const OriginSchema = v.pipe(
	v.string(),
	v.minLength(1, 'empty'),
	v.maxLength(MAX_ORIGIN_CHARS, `longer than ${MAX_ORIGIN_CHARS} characters`),
	WELL_FORMED,
);

export const SubscriptionSchema = v.object({
	id: SubscriptionIdSchema,
	origin: OriginSchema,
	filters: SubscriptionFilterSchema,
});

const SubscriptionTargetSchema = v.union([
	plainObject({ origin: OriginSchema, id: SubscriptionIdSchema }),
	plainObject({ origin: OriginSchema }),
	plainObject({}),
]);

const ReasonSchema = v.picklist(['closed', 'cancelled']);

export const NotificationSchema = plain(
	v.looseObject({
		jsonrpc: v.literal('2.0'),
		method: v.string(),
		params: v.optional(plain(v.record(v.string(), v.unknown()))),
	}),
);

const NotificationsSchema = arrayOf(v.unknown(), MAX_BATCH_ITEMS);

const BroadcastSchema = v.object({
	sessions: v.optional(arrayOf(v.unknown(), MAX_ADDRESSEES)),
	data: v.string(),
});

const BatchSchema = arrayOf(
	plainObject({
		sessions: v.unknown(),
		data: v.unknown(),
		id: v.optional(v.unknown()),
		resource: v.optional(v.unknown()),
	}),
	MAX_BATCH_ITEMS,
);

/** What `SyncLayer.relay` is to do, each as the arguments of the method of that name. */
export interface RelayInput {
	broadcasts?: readonly BroadcastInput[];
	publish?: { notifications: readonly Notification[]; options?: SendOptions };
	/** A session to end, if it is this owner's: else nothing is done at all. */
	end?: { session: string; owner: string; options?: SendOptions };
	unsubscribe?: { target: SubscriptionTarget; reason: SubscriptionEnd; options?: SendOptions };
	subscribersOf?: string;
}

const RelaySchema = plainObject({
	broadcasts: v.optional(v.unknown()),
	publish: v.optional(
		plainObject({ notifications: v.unknown(), options: v.optional(v.unknown()) }),
	),
	end: v.optional(
		plainObject({ session: v.unknown(), owner: v.unknown(), options: v.optional(v.unknown()) }),
	),
	unsubscribe: v.optional(
		plainObject({ target: v.unknown(), reason: v.unknown(), options: v.optional(v.unknown()) }),
	),
	subscribersOf: v.optional(v.unknown()),
});

/** One payload of `SyncLayer.broadcastBatch`, as the arguments of `broadcast`. */
export interface BroadcastInput {
	/** Session ids; `undefined` for all. */
	sessions: readonly string[] | undefined;
	/** The text to put on the streams: whole SSE events. */
	data: string;
	/** A UUID. What is repeated with the same id within a minute is sent once. */
	id?: string | undefined;
	/** Send to the sessions that are subscribed to it: the SHA-256 of its URI in base64url. */
	resource?: string | undefined;
}

/** `options` of `SyncLayer.begin`. @interface */
export type BeginOptions = v.InferInput<typeof OPTIONS.begin>;
/** `options` of `SyncLayer.attach`. @interface */
export type AttachOptions = v.InferInput<typeof OPTIONS.attach>;
/** `options` of `SyncLayer.detach`. @interface */
export type DetachOptions = v.InferInput<typeof OPTIONS.detach>;
/** `options` of `SyncLayer.listSessions`. @interface */
export type ListOptions = v.InferInput<typeof OPTIONS.listSessions>;
/** `options` of `SyncLayer.inspect`. @interface */
export type InspectOptions = v.InferInput<typeof OPTIONS.inspect>;
/** `options` of `SyncLayer.publish` and `unsubscribe`. @interface */
export type SendOptions = v.InferInput<typeof SendOptionsSchema>;
/** `options` of `SyncLayer.broadcast`. @interface */
export type BroadcastOptions = v.InferInput<typeof OPTIONS.broadcast>;
/** What is to be known of a session's client, for `SyncLayer.begin` and `inform`; `null` forgets it. @interface */
export type InfoInput = v.InferInput<typeof InfoSchema>;
/** A change of client info or resource subscriptions, for `SyncLayer.inform`. A resource is the SHA-256 of its URI in base64url. @interface */
export type InfoChange = v.InferInput<typeof InfoChangesSchema>[number];
/** `options` of `SyncLayer.subscribe`. @interface */
export type SubscribeOptions = v.InferInput<typeof OPTIONS.subscribe>;
/** A request that a server is about to send to its client, for `SyncLayer.ask`: its id, and how long it waits. @interface */
export type QuestionInput = v.InferInput<typeof QuestionsSchema>[number];
/** `options` of `SyncLayer.ask`. @interface */
export type AskOptions = v.InferInput<typeof OPTIONS.ask>;
/** Which subscriptions `SyncLayer.unsubscribe` ends: one (`{ origin, id }`), those of an origin (`{ origin }`), or all (`{}`). */
export type SubscriptionTarget = v.InferOutput<typeof SubscriptionTargetSchema>;
/** One `subscriptions/listen` stream: its request id, where it comes from, and what it wants to hear of. @interface */
export type SubscriptionInput = v.InferOutput<typeof SubscriptionSchema>;
/** A JSON-RPC notification. @interface */
export type Notification = v.InferOutput<typeof NotificationSchema>;
/** Why a subscription ends. */
export type SubscriptionEnd = 'closed' | 'cancelled';

/** @param hint what the method takes, added to what was wrong */
function parse<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
	hint: string,
): v.InferOutput<Schema> {
	return reading(() => {
		if (hasBigInt(input)) throw invalidArgument(`a BigInt is not JSON. ${hint}`);
		const result = validate(schema, input);
		if (result.kind === 'invalid') throw invalidArgument(`${result.issue}. ${hint}`);
		return result.output;
	}, hint);
}

function invalidArgument(message: string, options?: ErrorOptions): SessionManagerError {
	return new SessionManagerError('INVALID_ARGUMENT', message, options);
}

/** How deep our schemas look into an argument: `filters.resourceSubscriptions.0`. */
const SCHEMA_DEPTH = 3;

/**
 * valibot would write it in decimal for its error text: of 200 KB in 0.4 s, and the time grows faster than the size.
 * @param seen how deep each object was looked into: the same one may be named again and again
 */
function hasBigInt(
	input: unknown,
	depth = SCHEMA_DEPTH,
	seen = new Map<object, number>(),
): boolean {
	if (typeof input === 'bigint') return true;
	if (typeof input !== 'object' || input === null || depth <= (seen.get(input) ?? 0)) return false;
	seen.set(input, depth);
	// No schema takes a longer array, so that none looks into it.
	if (Array.isArray(input) && input.length > MAX_URIS) return false;
	return Object.values(input).some((value) => hasBigInt(value, depth - 1, seen));
}

/** Inside the object an input may have getters and traps of its own. What they throw is told as a refusal. */
function reading<T>(read: () => T, hint: string): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof SessionManagerError) throw error;
		throw invalidArgument(`it cannot be read. ${hint}`, { cause: error });
	}
}

/** Makes the parser of a method's options. The whole object may be missing where none of them is required. */
function optionsParser<Method extends keyof typeof OPTIONS>(method: Method) {
	const schema = OPTIONS[method];
	const hint = `The options of ${method} are ${Object.keys(schema.pipe[1].entries).join(', ')}.`;
	return (input: unknown = {}) => parse(schema, input, hint);
}

export const parseBeginOptions = optionsParser('begin');
export const parseAttachOptions = optionsParser('attach');
export const parseDetachOptions = optionsParser('detach');
const parseBroadcastOptions = optionsParser('broadcast');
export const parseAskOptions = optionsParser('ask');
export const parseListOptions = optionsParser('listSessions');
export const parseInspectOptions = optionsParser('inspect');
export const parseSubscribeOptions = optionsParser('subscribe');

/**
 * A session and the options of `attach`, as an upgrade brings them: see `KEY_HEADER`.
 * @throws `INVALID_SESSION_ID`
 */
export function parseClaim(text: string): { session: string; options: AttachOptions } {
	const { sessionId, ...options } = reading(
		() => Object(JSON.parse(decodeURIComponent(text))),
		'A claim is { sessionId, ...options of attach } as JSON.',
	);
	return { session: parseSessionId(sessionId), options: parseAttachOptions(options) };
}

/** @throws `TOO_MANY_QUESTIONS` */
export function parseQuestions(input: unknown): QuestionInput[] {
	const hint = 'A question is { id: UUID, timeout: milliseconds }.';
	reading(() => {
		if (Array.isArray(input)) assertRoomForQuestions(input.length);
	}, hint);
	return parse(QuestionsSchema, input, hint);
}

/** @throws `TOO_MANY_QUESTIONS` */
export function assertRoomForQuestions(waiting: number): void {
	if (waiting <= MAX_QUESTIONS_PER_SESSION) return;
	throw new SessionManagerError(
		'TOO_MANY_QUESTIONS',
		`${waiting} requests of the server would wait in one session for an answer, and ${MAX_QUESTIONS_PER_SESSION} may. Ask for less at a time.`,
	);
}

/**
 * What a client answered: the text of a JSON-RPC response.
 * @throws `PAYLOAD_TOO_LARGE`
 */
export function parseAnswer(input: unknown): string {
	if (typeof input !== 'string') {
		throw invalidArgument(`an answer is the text of a JSON-RPC response, not ${quote(input)}.`);
	}
	const bytes = input.length > MAX_ANSWER_BYTES ? input.length : byteLength(input);
	if (bytes <= MAX_ANSWER_BYTES) return input;
	throw new SessionManagerError(
		'PAYLOAD_TOO_LARGE',
		`an answer of ${bytes} bytes is over the limit of ${MAX_ANSWER_BYTES}. Send a link to the content.`,
	);
}

export function parseSendOptions(input: unknown, method: string): SendOptions {
	if (input === undefined) return {};
	return parse(SendOptionsSchema, input, `The only option of ${method} is id.`);
}

/** @throws `INVALID_SESSION_ID` only */
export function parseSessionId(input: unknown): string {
	if (isSessionId(input)) return input;
	const what = typeof input === 'string' ? `a string of ${input.length} characters` : quote(input);
	throw new SessionManagerError(
		'INVALID_SESSION_ID',
		`this is not a session id: ${what}. Use 1 to ${MAX_SESSION_ID_CHARS} visible ASCII characters (0x21–0x7E), for example crypto.randomUUID().`,
	);
}

const SESSION_ID = new RegExp(`^[\\x21-\\x7e]{1,${MAX_SESSION_ID_CHARS}}$`);

export function isSessionId(input: unknown): input is string {
	return typeof input === 'string' && SESSION_ID.test(input);
}

export function parseOwner(input: unknown): string {
	return parse(OwnerSchema, input, 'This names the owner of a session.');
}

export function parseInfoChanges(input: unknown): InfoChange[] {
	return parse(
		InfoChangesSchema,
		input,
		'A change is { set }, { subscribe }, { unsubscribe } or { forget: true }.',
	);
}

export function parseResource(input: unknown): string {
	return parse(ResourceSchema, input, 'This names a resource.');
}

/**
 * The addressees, each once, and the payload of a broadcast.
 * @throws `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBroadcast(sessions: unknown, data: unknown, options: unknown) {
	const input = parse(
		BroadcastSchema,
		{ sessions, data },
		'Name the sessions as an array of ids, or undefined for all, and give the payload as a string.',
	);
	const { id, resource } = parseBroadcastOptions(options);
	const addressees = input.sessions && [...new Set(input.sessions.map(parseSessionId))];
	if (resource !== undefined && addressees?.length !== 0) {
		throw invalidArgument(
			'a broadcast to the subscribers of a resource names sessions. Give it an empty array of them.',
		);
	}
	assertFits(broadcastBytes(addressees, input.data));
	return { sessions: addressees, data: input.data, id, resource };
}

/**
 * Validates several broadcasts, each as {@link parseBroadcast} does. Together they name at most {@link MAX_ADDRESSEES}
 * sessions.
 * @throws `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseBatch(input: unknown): ReturnType<typeof parseBroadcast>[] {
	const hint = 'Give an array of { sessions, data, id? }.';
	// One array may be named by many, and weighs next to nothing in the call.
	let [bytes, named] = [0, 0];
	return parse(BatchSchema, input, hint).map(({ sessions, data, ...options }) => {
		named += reading(() => (Array.isArray(sessions) ? sessions.length : 0), hint);
		if (named > MAX_ADDRESSEES) {
			throw new SessionManagerError(
				'PAYLOAD_TOO_LARGE',
				`a batch that names ${named} sessions is over the limit of ${MAX_ADDRESSEES}. Split it.`,
			);
		}
		const broadcast = parseBroadcast(sessions, data, options);
		bytes += leastBytes(broadcast.sessions, broadcast.data);
		assertFits(bytes);
		return broadcast;
	});
}

/** @throws `PAYLOAD_TOO_LARGE` */
export function parsePublish(notifications: unknown, options: unknown) {
	const { id } = parseSendOptions(options, 'publish');
	return { notifications: parseNotifications(notifications), id };
}

/**
 * All of it is parsed before any of it is done, so that a part that is refused leaves the others undone.
 * @throws `INVALID_SESSION_ID`, `PAYLOAD_TOO_LARGE`
 */
export function parseRelay(input: unknown) {
	const { broadcasts, publish, end, unsubscribe, subscribersOf } = parse(
		RelaySchema,
		input,
		'Give { broadcasts?, publish?, end?, unsubscribe?, subscribersOf? }.',
	);
	return {
		broadcasts: broadcasts === undefined ? undefined : parseBatch(broadcasts),
		publish: publish && parsePublish(publish.notifications, publish.options),
		end: end && {
			session: parseSessionId(end.session),
			owner: parseOwner(end.owner),
			id: parseSendOptions(end.options, 'end').id,
		},
		unsubscribe:
			unsubscribe && parseUnsubscribe(unsubscribe.target, unsubscribe.reason, unsubscribe.options),
		subscribersOf: subscribersOf === undefined ? undefined : parseResource(subscribersOf),
	};
}

export type ParsedRelay = ReturnType<typeof parseRelay>;

export function parseHomeLabel(input: unknown): string {
	if (typeof input === 'string' && parseHome(input)) return input;
	throw invalidArgument(`a home is named like 3 or weur-3, not ${quote(input)}.`);
}

export function parseHomeLabels(input: unknown): Set<string> {
	return reading(() => {
		if (Array.isArray(input) && input.length <= MAX_HOMES * (REGIONS.length + 1)) {
			return new Set(Array.from(input, parseHomeLabel));
		}
		throw invalidArgument('this is no list of homes.');
	}, 'Homes are a list like ["3", "weur-3"].');
}

function assertFits(bytes: number): void {
	if (bytes <= MAX_BROADCAST_BYTES) return;
	throw new SessionManagerError(
		'PAYLOAD_TOO_LARGE',
		`a message of ${bytes} bytes is over the platform's limit of ${MAX_BROADCAST_BYTES}. Send a link to the content, or split it.`,
	);
}

export function isOrigin(input: unknown): input is string {
	return v.is(OriginSchema, input);
}

export function parseSubscription(input: unknown): SubscriptionInput {
	const subscription = parse(
		plain(SubscriptionSchema),
		input,
		'A subscription is { id, origin, filters }.',
	);
	// As JSON a URI may be six times as long, so its characters are counted first.
	let bytes = 0;
	for (const { length } of subscription.filters.resourceSubscriptions ?? []) bytes += length;
	if (bytes <= MAX_SUBSCRIPTION_BYTES) bytes = byteLength(JSON.stringify(subscription));
	if (bytes <= MAX_SUBSCRIPTION_BYTES) return subscription;
	throw invalidArgument(
		`a subscription of ${bytes} bytes is over the limit of ${MAX_SUBSCRIPTION_BYTES}. Name fewer resources, or split it.`,
	);
}

export function parseUnsubscribe(target: unknown, reason: unknown, options?: unknown) {
	const parsed = parse(
		v.object({ target: SubscriptionTargetSchema, reason: ReasonSchema }),
		{ target, reason },
		"The target of unsubscribe is { origin, id }, { origin } or {}, the reason 'closed' or 'cancelled'.",
	);
	return { ...parsed, id: parseSendOptions(options, 'unsubscribe').id };
}

/** A notification, and its text. */
export interface WrittenNotification {
	notification: Notification;
	json: string;
}

/** @throws `PAYLOAD_TOO_LARGE` */
export function parseNotifications(input: unknown): WrittenNotification[] {
	let left = MAX_BROADCAST_BYTES;
	return parse(NotificationsSchema, input, NOTIFICATION_HINT).map((given) => {
		// First, because to check one copies it, and the same large one may be named again and again.
		const json = toJson(given, left);
		const notification = parse(NotificationSchema, given, NOTIFICATION_HINT);
		assertFits(broadcastBytes(undefined, json));
		left -= json.length;
		return { notification, json };
	});
}

/**
 * A notification as JSON has it, so that it cannot be refused later, in a batch with others.
 * @throws `PAYLOAD_TOO_LARGE`
 */
export function normaliseNotification(input: unknown): Notification {
	const json = toJson(input, MAX_BROADCAST_BYTES);
	const notification = parse(NotificationSchema, JSON.parse(json), NOTIFICATION_HINT);
	assertFits(broadcastBytes(undefined, json));
	return notification;
}

const NOTIFICATION_HINT = "A notification is { jsonrpc: '2.0', method, params? }.";

const UriSchema = v.pipe(v.string(), WELL_FORMED);

export function parseUri(input: unknown): string {
	return parse(UriSchema, input, 'This is the URI of a resource.');
}

/** The URI of a resource that an object takes subscriptions to. */
export function parseBoundedUri(input: unknown): string {
	const uri = parseUri(input);
	if (uri.length <= MAX_URI_CHARS) return uri;
	throw invalidArgument(`a URI of ${uri.length} characters is over the limit of ${MAX_URI_CHARS}.`);
}

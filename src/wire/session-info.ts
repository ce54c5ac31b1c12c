import * as v from 'valibot';
import { SessionManagerError } from '../errors.ts';
import { byteLength, MAX_SESSION_INFO_BYTES } from './limits.ts';
import { toJson } from './to-json.ts';

/** What is stored of a client: the MCP types, with whatever else the client sent. */

/** An object with these entries, and with whatever else it has. valibot alone takes an array for an object. */
function object<const Entries extends v.ObjectEntries>(entries: Entries) {
	const isObject = (value: unknown) =>
		typeof value === 'object' && value !== null && !Array.isArray(value);
	return v.pipe(v.custom<object>(isObject, 'not an object'), v.looseObject(entries));
}

const Unknowns = object({});

const ClientInfoSchema = object({
	name: v.string(),
	version: v.string(),
	title: v.optional(v.string()),
	websiteUrl: v.optional(v.string()),
	icons: v.optional(
		v.array(
			object({
				src: v.string(),
				mimeType: v.optional(v.string()),
				sizes: v.optional(v.array(v.string())),
			}),
		),
	),
});

const ClientCapabilitiesSchema = object({
	experimental: v.optional(Unknowns),
	sampling: v.optional(Unknowns),
	elicitation: v.optional(object({ form: v.optional(Unknowns), url: v.optional(Unknowns) })),
	extensions: v.optional(v.record(v.string(), Unknowns)),
	roots: v.optional(object({ listChanged: v.optional(v.boolean()) })),
});

const LogLevelSchema = v.picklist([
	'debug',
	'info',
	'notice',
	'warning',
	'error',
	'critical',
	'alert',
	'emergency',
]);

export type ClientInfo = v.InferOutput<typeof ClientInfoSchema>;
export type ClientCapabilities = v.InferOutput<typeof ClientCapabilitiesSchema>;
export type LogLevel = v.InferOutput<typeof LogLevelSchema>;

/** What may be known of a session's client. */
export const SESSION_INFO_ENTRIES = {
	clientInfo: ClientInfoSchema,
	clientCapabilities: ClientCapabilitiesSchema,
	logLevel: LogLevelSchema,
} as const;

export type InfoField = keyof typeof SESSION_INFO_ENTRIES;

/** What is known of a session's client, as far as it was told. */
export interface SessionInfo {
	clientInfo?: ClientInfo | undefined;
	clientCapabilities?: ClientCapabilities | undefined;
	logLevel?: LogLevel | undefined;
}

/**
 * What a client told, as it is stored.
 * @throws `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT` for what JSON cannot say
 */
export function toStoredInfo(told: unknown): string {
	const json = toJson(told, MAX_SESSION_INFO_BYTES);
	const bytes = byteLength(json);
	if (bytes <= MAX_SESSION_INFO_BYTES) return json;
	throw new SessionManagerError(
		'PAYLOAD_TOO_LARGE',
		`what a client told takes ${bytes} bytes as JSON, and ${MAX_SESSION_INFO_BYTES} is the limit. Nothing was stored.`,
	);
}

import * as v from 'valibot';

/** What a client says of itself and asks for, as it is kept: the MCP shapes, with whatever else the client sent. */

const Unknowns = v.looseObject({});

export const ClientInfoSchema = v.looseObject({
	name: v.string(),
	version: v.string(),
	title: v.optional(v.string()),
	websiteUrl: v.optional(v.string()),
	icons: v.optional(
		v.array(
			v.looseObject({
				src: v.string(),
				mimeType: v.optional(v.string()),
				sizes: v.optional(v.array(v.string())),
			}),
		),
	),
});

export const ClientCapabilitiesSchema = v.looseObject({
	experimental: v.optional(Unknowns),
	sampling: v.optional(Unknowns),
	elicitation: v.optional(v.looseObject({ form: v.optional(Unknowns), url: v.optional(Unknowns) })),
	extensions: v.optional(v.record(v.string(), Unknowns)),
	roots: v.optional(v.looseObject({ listChanged: v.optional(v.boolean()) })),
});

export const LogLevelSchema = v.picklist([
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

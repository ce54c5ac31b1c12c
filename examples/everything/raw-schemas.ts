/** Schemas that valibot checks loosely, and that clients are shown in the words of JSON Schema 2020-12. */
import type { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import type { GenericSchema } from 'valibot';
import * as v from 'valibot';

type JsonSchema = Awaited<ReturnType<ValibotJsonSchemaAdapter['toJsonSchema']>>;

export const contacts = v.record(v.string(), v.unknown());
export const locator = v.object({ region: v.string() });

const string = { type: 'string' } as const;
const address = {
	$anchor: 'addressDef',
	type: 'object',
	properties: { street: string, city: string },
} as const;

const contactsJson = {
	$schema: 'https://json-schema.org/draft/2020-12/schema',
	type: 'object' as const,
	$defs: { address },
	properties: {
		name: string,
		address: { $ref: '#/$defs/address' },
		contactMethod: { ...string, enum: ['phone', 'email'] },
		phone: string,
		email: string,
	},
	allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
	if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
	// oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
	then: { required: ['phone'] },
	else: { required: ['email'] },
	additionalProperties: false,
};

/** `x-mcp-header`: the client repeats the argument in `Mcp-Param-Region` (2026-07-28). */
const locatorJson = {
	type: 'object' as const,
	properties: { region: { ...string, 'x-mcp-header': 'Region' } },
	required: ['region'],
};

export const RAW_SCHEMAS: ReadonlyMap<GenericSchema, JsonSchema> = new Map<
	GenericSchema,
	JsonSchema
>([
	[contacts, contactsJson],
	[locator, locatorJson],
]);

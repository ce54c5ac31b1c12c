/** What to write into `wrangler.jsonc` for a class of Durable Objects that the Worker exports. */
export function classDeclaration(className: string): string {
	return `"exports": { "${className}": { "type": "durable-object", "storage": "sqlite" } }`;
}

/** What to write into `wrangler.jsonc` for the Durable Object. */
export function syncLayerConfiguration(name: string): string {
	return `"durable_objects": { "bindings": [{ "name": "${name}", "class_name": "SyncLayer" }] }, ${classDeclaration('SyncLayer')}`;
}

/** What to write into `wrangler.jsonc` for a KV namespace. */
export function kvConfiguration(name: string): string {
	return `"kv_namespaces": [{ "binding": "${name}" }]`;
}

/** A KV namespace whose reads take `ms` longer, as a distant one's do. It counts them, too. */
export function slowKV(namespace: KVNamespace, ms: number): KVNamespace & { reads: string[] } {
	const reads: string[] = [];
	return new Proxy(Object.assign(Object.create(namespace), { reads }), {
		get(target, name) {
			if (name === 'reads') return target.reads;
			const method: unknown = Reflect.get(namespace, name);
			if (typeof method !== 'function') return method;
			return async (...args: unknown[]) => {
				if (name === 'get' || name === 'getWithMetadata' || name === 'list') {
					reads.push(String(name));
					await scheduler.wait(ms);
				}
				return Reflect.apply(method, namespace, args);
			};
		},
	});
}

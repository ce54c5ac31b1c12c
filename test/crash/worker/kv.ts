/**
 * Workers KV for bare workerd, which has the binding but not the store: a `kvNamespace` binding sends its operations as
 * HTTP requests to a service, and this is one, with SQLite on the same disk as the object under test. It has what
 * `KVInfoSessionManager` uses. Nothing expires (the shortest ttl of KV is longer than most runs), and no read is stale.
 */
import { DurableObject } from 'cloudflare:workers';

interface Env {
	STORE: DurableObjectNamespace<KVStore>;
}

interface Row extends Record<string, SqlStorageValue> {
	key: string;
	value: string;
	metadata: string | null;
}

function withTable(sql: SqlStorage): SqlStorage {
	sql.exec(
		'CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL, metadata TEXT) WITHOUT ROWID',
	);
	return sql;
}

export class KVStore extends DurableObject {
	#sql = withTable(this.ctx.storage.sql);

	override async fetch(request: Request): Promise<Response> {
		const { pathname, searchParams } = new URL(request.url);
		const key = decodeURIComponent(pathname.slice(1));
		switch (request.method) {
			case 'PUT':
				this.#put(key, await request.text(), request.headers.get('cf-kv-metadata'));
				return new Response();
			case 'DELETE':
				this.#sql.exec('DELETE FROM kv WHERE key = ?', key);
				return new Response();
			case 'POST':
				return this.#getBulk(await request.json<{ keys: string[]; withMetadata?: boolean }>());
			default:
				return key === '' ? this.#list(searchParams.get('prefix') ?? '') : this.#get(key);
		}
	}

	#put(key: string, value: string, metadata: string | null): void {
		this.#sql.exec('INSERT OR REPLACE INTO kv VALUES (?, ?, ?)', key, value, metadata);
	}

	#get(key: string): Response {
		const row = this.#read(key);
		if (!row) return new Response('Not Found', { status: 404 });
		const headers = row.metadata === null ? {} : { 'cf-kv-metadata': row.metadata };
		return new Response(row.value, { headers });
	}

	#getBulk({ keys, withMetadata = false }: { keys: string[]; withMetadata?: boolean }): Response {
		const entries = keys.map((key) => {
			const row = this.#read(key);
			if (!row || !withMetadata) return [key, row?.value ?? null];
			const metadata: unknown = row.metadata === null ? null : JSON.parse(row.metadata);
			return [key, { value: row.value, metadata }];
		});
		return Response.json(Object.fromEntries(entries));
	}

	#list(prefix: string): Response {
		const keys = this.#sql
			.exec<Row>('SELECT * FROM kv WHERE substr(key, 1, ?) = ?', prefix.length, prefix)
			.toArray()
			.map(({ key, metadata }) => ({ name: key, ...(metadata === null ? {} : { metadata }) }));
		return Response.json({ keys, list_complete: true, cacheStatus: null });
	}

	#read(key: string): Row | undefined {
		return this.#sql.exec<Row>('SELECT * FROM kv WHERE key = ?', key).toArray()[0];
	}
}

export default {
	fetch: (request, env) => env.STORE.getByName('kv').fetch(request),
} satisfies ExportedHandler<Env>;

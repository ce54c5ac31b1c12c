import { drive } from '../driver.ts';
import { FloorObject } from '../floor-object.ts';
import { type Floor, FloorStreams } from '../floor-streams.ts';

/** What losing nothing costs at least: one durable row for each thing that happens. */
export class SyncLayer extends FloorObject {
	#sql = this.ctx.storage.sql;

	constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
		super(ctx, env);
		this.#sql.exec(
			'CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, position INTEGER) WITHOUT ROWID',
		);
		this.#sql.exec('CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, data TEXT)');
	}

	override end(id: string): void {
		this.#sql.exec('DELETE FROM sessions WHERE id = ?', id);
		super.end(id);
	}

	override broadcast(sessions: string[] | undefined, data: string): void {
		this.#sql.exec('INSERT INTO events (data) VALUES (?)', data);
		super.broadcast(sessions, data);
	}

	protected override accept(id: string): Response {
		this.#sql.exec('INSERT OR REPLACE INTO sessions (id, position) VALUES (?, 0)', id);
		return super.accept(id);
	}
}

export default drive(
	(env: { TMCP_DURABLE_OBJECT: DurableObjectNamespace<Floor> }) =>
		new FloorStreams(env.TMCP_DURABLE_OBJECT, 'claim and upgrade'),
);

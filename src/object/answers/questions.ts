import { SessionManagerError } from '../../errors.ts';
import type { AnswerOutcome } from '../../wire/answers.ts';
import { assertRoomForQuestions, type QuestionInput } from '../../wire/arguments.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import { encodeFrame } from '../../wire/frames.ts';
import { JsonRpcError } from '../../wire/json-rpc.ts';
import { MAX_ASKERS } from '../../wire/limits.ts';
import { formatWireId, type WireId } from '../../wire/wire-id.ts';
import type { Alarm } from '../alarm.ts';
import { Arrivals } from '../arrivals.ts';
import { writeAttachment } from '../sockets/attachment.ts';
import { acceptSocket, deliver, type OpenSocket, openSockets } from '../sockets/sockets.ts';

/** Who asks: one POST of a session, on one connection as long as it asks. */
export interface Asker {
	sessionId: string;
	connectionId: string;
}

interface Row extends Record<string, SqlStorageValue> {
	question_id: string;
	owner: string;
	expires_at: number;
	answer: string | null;
}

/**
 * How long an answer waits for a connection that has no socket, in milliseconds: longer than a Worker takes for its first
 * tries to come back after the object was replaced.
 */
const COMEBACK_LIMIT_MS = 10_000;

/** How long after their expiry rows are deleted, in milliseconds: several go in one wake-up. */
const PURGE_DELAY_MS = 10 * 60_000;

/** Sockets of a session are found by the end of its id: a tag has 256 characters. */
const SESSION_CHARS_IN_TAG = 200;

/**
 * The requests that servers have sent to their clients and that wait for an answer. A row each, so that they outlast the
 * object; and a hibernating socket for each POST that waits, on which the answer goes down.
 *
 * Rows are deleted when their socket says that all is answered, when the session ends, or by an alarm after they expired.
 * Until then an answer stays in its row: a socket may break before the other end has read it.
 */
export class Questions {
	#ctx: DurableObjectState;
	#sql: SqlStorage;
	#alarm: Alarm;
	/** Whether there may be any; `undefined` until this instance has looked. Most sessions end without ever being asked. */
	#mayBeAny: boolean | undefined;
	/** How many more may wait before sockets are counted again. */
	#room = 0;
	/** Answers that wait for a connection to come back, by its id. */
	#comebacks = new Arrivals(COMEBACK_LIMIT_MS);

	constructor(ctx: DurableObjectState, sql: SqlStorage, alarm: Alarm) {
		this.#ctx = ctx;
		this.#sql = sql;
		this.#alarm = alarm;
	}

	/**
	 * Before another POST begins to wait. Sockets are counted after a wake, and again where there may be too many.
	 * @throws `TOO_MANY_QUESTIONS`
	 */
	assertRoomForAsker(): void {
		if (this.#room === 0) this.#room = MAX_ASKERS - this.#ctx.getWebSockets(ASKER_TAG).length;
		if (this.#room <= 0) {
			this.#room = 0;
			throw new SessionManagerError(
				'TOO_MANY_QUESTIONS',
				`${MAX_ASKERS} calls wait in the object for answers of their clients, which is its limit. Raise the number of homes, or lower answerTimeout.`,
			);
		}
		this.#room--;
	}

	/**
	 * Register questions. Those that are registered already stay as they are.
	 * @throws `TOO_MANY_QUESTIONS`, and then none of them is registered
	 */
	add(asker: Asker, owner: string, questions: readonly QuestionInput[], now: number): void {
		const { sessionId, connectionId } = asker;
		this.#mayBeAny = true;
		this.#ctx.storage.transactionSync(() => {
			this.#sql.exec(
				`INSERT OR IGNORE INTO tmcp_questions (session_id, connection_id, question_id, owner, expires_at)
				SELECT ?, ?, value ->> 'id', ?, ? + (value ->> 'timeout') FROM json_each(?)`,
				sessionId,
				connectionId,
				owner,
				now,
				JSON.stringify(questions),
			);
			const waiting = this.#sql.exec<{ n: number }>(
				'SELECT COUNT(*) AS n FROM tmcp_questions WHERE session_id = ? AND answer IS NULL AND expires_at > ?',
				sessionId,
				now,
			);
			assertRoomForQuestions(waiting.one().n);
		});
		const last = Math.max(...questions.map(({ timeout }) => timeout));
		this.#alarm.schedule(now + last + PURGE_DELAY_MS);
	}

	/** Whose question it is, where it waits for an answer. */
	ownerOf(
		sessionId: string,
		{ connectionId, questionId }: WireId,
		now: number,
	): string | undefined {
		const [row] = this.#sql
			.exec<Row>(
				'SELECT * FROM tmcp_questions WHERE session_id = ? AND connection_id = ? AND question_id = ?',
				sessionId,
				connectionId,
				questionId,
			)
			.toArray();
		return row && row.answer === null && row.expires_at > now ? row.owner : undefined;
	}

	/** Store the answer to a question that waits, and send it to the connection that asked. */
	async answer(sessionId: string, id: WireId, answer: string): Promise<AnswerOutcome> {
		const asker = { sessionId, connectionId: id.connectionId };
		this.#setAnswer(asker, id, answer);
		const frame = encodeFrame({ seq: undefined, data: answer });
		const isHandedDown = this.#socketsOf(asker).some(({ socket }) => deliver(socket, frame));
		if (isHandedDown || (await this.#comebacks.wait(asker.connectionId))) return 'taken';
		// The client is told that its answer was lost, so a connection that comes back later must not get that answer.
		return this.#setAnswer(asker, id, lostAnswer(id)) ? 'lost' : 'ignored';
	}

	/**
	 * Take over the object's end of an asker's socket, and hand it the answers that came while it had none.
	 * @throws `STREAM_DETACHED` where its session has ended, `OBJECT_FULL`
	 */
	open(socket: WebSocket, asker: Asker): void {
		const { sessionId, connectionId } = asker;
		const rows = this.#sql
			.exec<Row>(
				'SELECT * FROM tmcp_questions WHERE session_id = ? AND connection_id = ?',
				sessionId,
				connectionId,
			)
			.toArray();
		if (rows.length === 0) {
			throw new SessionManagerError(
				'STREAM_DETACHED',
				'nothing is asked on this connection: the session has ended, or all has expired.',
			);
		}
		const older = this.#socketsOf(asker);
		acceptSocket(this.#ctx, socket, [ASKER_TAG, tagOf(sessionId)]);
		writeAttachment(socket, { kind: 'asker', sessionId, connectionId });
		for (const { answer } of rows) {
			if (answer !== null) deliver(socket, encodeFrame({ seq: undefined, data: answer }));
		}
		for (const before of older) before.socket.close(CloseCode.superseded, 'superseded');
		this.#comebacks.come(connectionId);
	}

	/** A socket is gone. Without that code, it was lost, and its connection may come back. */
	closed({ sessionId, connectionId }: Asker, code: number): void {
		if (code !== CloseCode.answered) return;
		this.#sql.exec(
			'DELETE FROM tmcp_questions WHERE session_id = ? AND connection_id = ?',
			sessionId,
			connectionId,
		);
	}

	/** The session has ended. */
	end(sessionId: string): void {
		this.#mayBeAny ??=
			this.#sql.exec('SELECT 1 FROM tmcp_questions LIMIT 1').toArray().length === 1;
		if (!this.#mayBeAny) return;
		for (const { socket, attachment } of openSockets(this.#ctx, 'asker', tagOf(sessionId))) {
			if (attachment.sessionId === sessionId) socket.close(CloseCode.detached, 'detached');
		}
		this.#sql.exec('DELETE FROM tmcp_questions WHERE session_id = ?', sessionId);
	}

	/** Delete what has expired. @returns when to do so next, in milliseconds since 1970; `undefined` where nothing is left */
	purge(now: number): number | undefined {
		this.#sql.exec('DELETE FROM tmcp_questions WHERE expires_at <= ?', now);
		const last = this.#sql
			.exec<{ at: number | null }>('SELECT MAX(expires_at) AS at FROM tmcp_questions')
			.one().at;
		this.#mayBeAny = last !== null;
		return last === null ? undefined : last + PURGE_DELAY_MS;
	}

	/** @returns whether there is such a question */
	#setAnswer({ sessionId, connectionId }: Asker, { questionId }: WireId, answer: string): boolean {
		const written = this.#sql.exec(
			'UPDATE tmcp_questions SET answer = ? WHERE session_id = ? AND connection_id = ? AND question_id = ?',
			answer,
			sessionId,
			connectionId,
			questionId,
		);
		return written.rowsWritten > 0;
	}

	#socketsOf({ sessionId, connectionId }: Asker): OpenSocket<'asker'>[] {
		return openSockets(this.#ctx, 'asker', tagOf(sessionId)).filter(
			({ attachment }) =>
				attachment.sessionId === sessionId && attachment.connectionId === connectionId,
		);
	}
}

/** Of all that wait. Tags of subclasses do not begin with `kind `. */
const ASKER_TAG = 'kind asker';

function tagOf(sessionId: string): string {
	return `${ASKER_TAG} ${sessionId.slice(-SESSION_CHARS_IN_TAG)}`;
}

function lostAnswer(id: WireId): string {
	const message =
		'The answer came while the connection of this request was lost. Whoever gave it was told that it was not taken.';
	return JSON.stringify({
		jsonrpc: '2.0',
		id: formatWireId(id),
		error: { code: JsonRpcError.connectionClosed, message },
	});
}

import * as channels from '../../diagnostics/channels.ts';
import type { AnsweredEvent } from '../../diagnostics/events.ts';
import { publishFailure } from '../../diagnostics/failure.ts';
import { currentTrace, runInTrace } from '../../diagnostics/trace.ts';
import { SessionManagerError } from '../../errors.ts';
import { CloseCode } from '../../wire/close-codes.ts';
import { JsonRpcError } from '../../wire/json-rpc.ts';
import { formatWireId } from '../../wire/wire-id.ts';
import { Connection, type Subject } from '../connection/connection.ts';
import { openAsker, type Opened } from '../connection/open-socket.ts';
import { here } from '../here.ts';
import { callObject, type HomeOrPromise } from '../routing/object.ts';
import { parseJson } from '../content.ts';
import { type ClientAnswer, readAnswer } from './messages.ts';

/** What an asker is given by its response. */
export interface AskerSetup {
	/** Where the session is. */
	home(): HomeOrPromise;
	session: string;
	/** A hash, as `SyncLayer.admit` takes it. */
	owner: string;
	/** How long a question waits for its answer, in milliseconds. */
	timeout: number;
	/** Give an answer to the server that asked. */
	hand(answer: ClientAnswer): void;
	/** Send the client a notification. */
	notify(notification: { method: string; params: object }): void;
}

/** A server's request that waits for its answer. */
interface Question {
	questionId: string;
	/** As the server numbered it. */
	originalId: string | number;
	/** In milliseconds since 1970. */
	deadline: number;
	timer: ReturnType<typeof setTimeout>;
	/** Whether it may have left for the client. */
	isAsked: boolean;
	/** Called when nobody waits for its answer any more. */
	onOver(): void;
}

/**
 * Waits for the answers to what a server asks on the response of one POST. As long as something is asked, it has one
 * socket to the object: the way on which answers come, from whichever instance got them, and the reason why the runtime does
 * not take the request for hung.
 *
 * All of it belongs to the request that made it.
 */
export class Asker {
	#setup: AskerSetup;
	/** What is asked, by its wire id: all of it on {@link #line}. */
	#questions = new Map<string, Question>();
	#line: AnswerLine | undefined;
	/** Answers come on a socket, and in a context of its own. */
	#trace = currentTrace();

	constructor(setup: AskerSetup) {
		this.#setup = setup;
	}

	/**
	 * Register a server's request in the object.
	 * @returns the id under which it may leave now; `undefined` where it must not, because the server has its answer: an error
	 */
	async ask(originalId: string | number): Promise<string | undefined> {
		const questionId = crypto.randomUUID();
		const line = (this.#line ??= this.#openLine());
		const wireId = formatWireId({ connectionId: line.connectionId, questionId });
		const { timeout } = this.#setup;
		const { promise: over, resolve: onOver } = Promise.withResolvers<void>();
		const question: Question = {
			questionId,
			originalId,
			deadline: Date.now() + timeout,
			// From now on, whatever happens to the call below.
			timer: setTimeout(() => this.#expire(wireId), timeout),
			isAsked: false,
			onOver,
		};
		// Before the call: the line is not to end with the answer to an earlier question.
		this.#questions.set(wireId, question);
		try {
			// The rest of the response does not wait for a call that is never answered.
			await Promise.race([line.register(question), over]);
		} catch (error) {
			publishFailure(error, here(this.#setup.session));
			this.#refuse(
				wireId,
				JsonRpcError.internal,
				`The client was not asked: ${SessionManagerError.from(error)?.message ?? String(error)}`,
			);
		}
		question.isAsked = this.#questions.has(wireId);
		return question.isAsked ? wireId : undefined;
	}

	/** Wait for nothing any more. @param reason told to the server */
	giveUp(reason: string): void {
		for (const wireId of this.#questions.keys())
			this.#refuse(wireId, JsonRpcError.connectionClosed, reason);
	}

	/** Take back what was asked, because the server does not want it any more. */
	cancel(reason: string): void {
		const wireIds = [...this.#questions.keys()];
		this.giveUp(reason);
		for (const wireId of wireIds) this.#tellCancelled(wireId, reason);
	}

	#openLine(): AnswerLine {
		const line: AnswerLine = new AnswerLine({
			...this.#setup,
			waiting: () => (this.#line === line ? [...this.#questions.values()] : []),
			onAnswer: (answer) => this.#take(answer),
			onEnd: () => this.giveUp('The session ended before the client answered.'),
		});
		return line;
	}

	#take(answer: ClientAnswer): void {
		const question = this.#settle(String(answer.id), 'taken');
		// The object hands an answer down again where it cannot know that it arrived.
		if (question) this.#setup.hand({ ...answer, id: question.originalId });
	}

	#expire(wireId: string): void {
		const reason = `The client did not answer within ${this.#setup.timeout / 1000} seconds.`;
		const isAsked = this.#questions.get(wireId)?.isAsked;
		this.#refuse(wireId, JsonRpcError.requestTimeout, reason);
		if (isAsked) this.#tellCancelled(wireId, reason);
	}

	#refuse(wireId: string, code: number, message: string): void {
		const isLate = code === JsonRpcError.requestTimeout;
		const question = this.#settle(wireId, isLate ? 'expired' : 'abandoned');
		if (!question) return;
		this.#setup.hand({ jsonrpc: '2.0', id: question.originalId, error: { code, message } });
	}

	#tellCancelled(requestId: string, reason: string): void {
		this.#setup.notify({ method: 'notifications/cancelled', params: { requestId, reason } });
	}

	/** A question is over, and with the last one the line. */
	#settle(wireId: string, outcome: Outcome): Question | undefined {
		const question = this.#questions.get(wireId);
		if (!question) return undefined;
		if (channels.answered.hasSubscribers) {
			const durationMs = Date.now() - (question.deadline - this.#setup.timeout);
			const event = { ...here(this.#setup.session), outcome, durationMs };
			runInTrace(this.#trace, () => channels.answered.publish(event));
		}
		clearTimeout(question.timer);
		question.onOver();
		this.#questions.delete(wireId);
		if (this.#questions.size === 0) {
			this.#line?.end();
			this.#line = undefined;
		}
		return question;
	}
}

type Outcome = Extract<AnsweredEvent, { side: 'worker' }>['outcome'];

interface LineSetup extends Pick<AskerSetup, 'home' | 'session' | 'owner'> {
	/** What waits for an answer. */
	waiting(): Question[];
	onAnswer(answer: ClientAnswer): void;
	/** No answer can come any more. */
	onEnd(): void;
}

/** The connection of an asker, as long as it asks. */
class AnswerLine extends Connection {
	#setup: LineSetup;
	#isOpened = false;

	constructor(setup: LineSetup) {
		super();
		this.#setup = setup;
	}

	/** Tell the object what is asked; with the first question, open the socket. */
	async register(question: Question): Promise<void> {
		const { session, owner } = this.#setup;
		if (this.#isOpened) {
			const { connectionId } = this;
			await callObject(this.#setup.home(), async (stub) => {
				await stub.ask(session, owner, [inputOf(question)], { connectionId });
			});
			return;
		}
		this.#isOpened = true;
		await this.connectFirst(undefined);
		this.accept();
	}

	/** Nothing is waited for any more. */
	end(): void {
		this.close(undefined, CloseCode.answered);
	}

	protected override connect(_: string | undefined, resume: boolean): Promise<Opened> {
		const { session, owner, waiting } = this.#setup;
		const open = async (stub: Parameters<typeof openAsker>[0]) => {
			const questions = waiting().map(inputOf);
			if (questions.length > 0) {
				return openAsker(stub, session, owner, questions, this.connectionId);
			}
			throw new SessionManagerError('STREAM_DETACHED', 'nothing is asked any more.');
		};
		return callObject(this.#setup.home(), open, resume ? 1 : undefined);
	}

	protected override onEvent(frame: string): void {
		const answer = readAnswer(parseJson(frame.slice(frame.indexOf('\n') + 1)));
		if (answer) this.#setup.onAnswer(answer);
	}

	protected override onEnd(): void {
		this.#setup.onEnd();
	}

	protected override onOpen(): void {}
	protected override onPosition(): void {}
	protected override onPause(): void {}

	override get subject(): Subject {
		return { ...here(this.#setup.session), stream: 'answers' };
	}

	/** The server is told at its deadline, or by {@link onEnd}. */
	protected override onFailure(): void {}
}

function inputOf({ questionId, deadline }: Question) {
	return { id: questionId, timeout: Math.max(1, deadline - Date.now()) };
}

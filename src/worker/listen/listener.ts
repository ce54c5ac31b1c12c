import type { SubscriptionCallbacks } from '@tmcp/session-manager';
import * as v from 'valibot';
import { SessionManagerError, type SessionManagerErrorCode } from '../../errors.ts';
import { CloseCode } from '../../wire/protocol.ts';
import type { OpenedSubscription } from '../connection/open-socket.ts';
import { NotificationSchema, type SubscriptionEnd } from '../../wire/arguments.ts';
import { Connection } from '../connection/connection.ts';

/** Which close codes end a subscription, and what its stream is told. Any other means that the object went away. */
const ENDS: Record<number, SubscriptionEnd> = {
	[CloseCode.subscriptionClosed]: 'closed',
	[CloseCode.subscriptionCancelled]: 'cancelled',
	[CloseCode.superseded]: 'cancelled',
};

/** What trying again cannot heal. */
const HOPELESS = new Set<SessionManagerErrorCode | undefined>([
	'INVALID_ARGUMENT',
	'BINDING_MISSING',
	'BINDING_WRONG_KIND',
]);

/** What a listener is given by its manager. */
export interface ListenerHooks {
	/** Open a socket for what comes after an event; `resume` in the place of one that was lost. */
	connect(lastEventId: string | undefined, resume: boolean): Promise<OpenedSubscription>;
	/** Called each time the listener may have missed something for good; must not throw. */
	onGap(): void;
	/** Told of a callback that failed, and of the first try to come back that did; must not throw. */
	onError(error: unknown): void;
}

/** The Worker's side of one `subscriptions/listen` stream: a socket in, tmcp's callbacks out, one after another. */
export class Listener {
	#callbacks: SubscriptionCallbacks;
	#hooks: ListenerHooks;
	#connection: Connection<SubscriptionEnd | 'duplicate'>;
	/** Callbacks are called in order, each after the one before has finished. */
	#queue = Promise.resolve();

	constructor(callbacks: SubscriptionCallbacks, hooks: ListenerHooks) {
		this.#callbacks = callbacks;
		this.#hooks = hooks;
		this.#connection = new Connection({
			connect: async (lastEventId, resume) => {
				const opened = await hooks.connect(lastEventId, resume);
				if (opened.kind === 'open') return opened;
				return { end: opened.kind === 'ended' ? opened.reason : opened.kind };
			},
			endOf: (code) => ENDS[code],
			onOpen: (log) => {
				if (log?.recovered === false) hooks.onGap();
			},
			onEvent: ({ data }) => {
				const result = v.safeParse(NotificationSchema, JSON.parse(data));
				if (result.success) this.#enqueue(() => this.#callbacks.send(result.output));
			},
			onPlace: () => {},
			onFailure: (error, failures) => {
				if (failures === 1) hooks.onError(error);
				return HOPELESS.has(SessionManagerError.from(error)?.code) ? 'cancelled' : undefined;
			},
			onEnd: (end) => this.#end(end),
		});
	}

	/**
	 * Connect, acknowledge, then carry what comes. The socket is accepted only after the acknowledgement, so the runtime
	 * keeps what arrives until then, in order.
	 * @returns `false` where the origin has a subscription of that id already
	 */
	async start(): Promise<boolean> {
		const end = await this.#connection.open(undefined);
		if (end === 'duplicate') return false;
		try {
			await this.#callbacks.acknowledge();
		} catch (error) {
			this.#connection.close(undefined);
			throw error;
		}
		if (end === undefined) this.#connection.accept();
		else this.#end(end);
		return true;
	}

	/** Another one that took its place is as good as a cancel. */
	#end(end: SubscriptionEnd | 'duplicate'): void {
		this.#enqueue(() => this.#callbacks.close(end === 'duplicate' ? 'cancelled' : end));
	}

	#enqueue(call: () => void | Promise<void>): void {
		this.#queue = this.#queue.then(call).catch((error: unknown) => this.#hooks.onError(error));
	}
}

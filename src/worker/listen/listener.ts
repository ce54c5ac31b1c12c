import type { SubscriptionCallbacks } from '@tmcp/session-manager';
import * as v from 'valibot';
import {
	NotificationSchema,
	type SubscriptionEnd,
	type SubscriptionInput,
} from '../../wire/arguments.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { Connection, type Subject } from '../connection/connection.ts';
import { lifetimeMs } from '../connection/lifetime.ts';
import { type Opened, openSubscription, SubscriptionRefused } from '../connection/open-socket.ts';
import { callObject, type Home } from '../routing/object.ts';

/** What a listener gets from its manager. The callbacks must not throw. */
export interface ListenerSetup {
	subscription: SubscriptionInput;
	/** By which those of one owner are counted. */
	account: string | undefined;
	/** Where the subscription is. */
	home: Home;
	/** In milliseconds; it lives between half of that and all of it. */
	maxLifetime: number;
	/** Called each time the listener may have missed something for good. */
	onGap(): void;
	/** Called for a tmcp callback that failed, and for the first and the last failed try to come back. */
	onError(error: unknown): void;
}

/** The Worker's side of one `subscriptions/listen` stream: it passes what comes on the socket to tmcp's callbacks. */
export class Listener extends Connection {
	#callbacks: SubscriptionCallbacks;
	#setup: ListenerSetup;
	/** `began` of the first `subscribe`. */
	#began: number | undefined;
	/** The running callback and those that wait for it, so that they run in order. */
	#queue = Promise.resolve();
	#lifeTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(callbacks: SubscriptionCallbacks, setup: ListenerSetup) {
		super();
		this.#callbacks = callbacks;
		this.#setup = setup;
	}

	/**
	 * Connect, acknowledge, then pass on what comes. The runtime keeps what arrives before the socket is accepted, so nothing
	 * is passed on before the acknowledgement.
	 * @returns `false` where the origin has a subscription of that id already
	 */
	async start(): Promise<boolean> {
		let end: SubscriptionEnd | undefined;
		try {
			await this.connectFirst(undefined);
		} catch (error) {
			if (!(error instanceof SubscriptionRefused)) throw error;
			if (error.end === 'duplicate') return false;
			end = error.end;
		}
		try {
			await this.#callbacks.acknowledge();
		} catch (error) {
			this.close(undefined);
			throw error;
		}
		if (end !== undefined) {
			this.onEnd(end);
			return true;
		}
		this.accept();
		const lifetime = lifetimeMs(this.#setup.maxLifetime);
		if (lifetime < Infinity && !this.isClosed) {
			this.#lifeTimer = setTimeout(() => void this.#endLife(), lifetime);
		}
		return true;
	}

	protected override async connect(
		lastEventId: string | undefined,
		isBack: boolean,
	): Promise<Opened> {
		const { subscription, account, home } = this.#setup;
		const { connectionId } = this;
		const options = { connectionId, lastEventId, resume: this.#began, account };
		const opened = await callObject(
			home,
			(stub) => openSubscription(stub, subscription, options),
			isBack ? 1 : undefined,
		);
		this.#began = opened.began;
		return opened;
	}

	protected override onOpen(log: LogPosition | undefined): void {
		if (log?.recovered === false) this.#setup.onGap();
	}

	protected override onEvent(frame: string): void {
		this.#enqueue(() => {
			const payload: unknown = JSON.parse(frame.slice(frame.indexOf('\n') + 1));
			if (v.is(NotificationSchema, payload)) return this.#callbacks.send(payload);
		});
	}

	protected override onPosition(): void {}

	protected override onPause(): void {
		this.comeBack();
	}

	protected override onFailure(error: unknown, failures: number, isLast: boolean): void {
		if (failures === 1 || isLast) this.#setup.onError(error);
	}

	protected override onEnd(end: SubscriptionEnd): void {
		clearTimeout(this.#lifeTimer);
		this.#enqueue(() => this.#callbacks.close(end));
	}

	override get subject(): Subject {
		const { home } = this.#setup;
		return { side: 'worker', stream: 'listen', home: home.label, session: undefined };
	}

	/** It is the object that ends it, after all that it has sent. Where it cannot be asked, or had lost the socket, this does. */
	async #endLife(): Promise<void> {
		const { home, subscription } = this.#setup;
		const { origin, id } = subscription;
		const unsubscribing = callObject(home, (stub) =>
			stub.unsubscribe({ origin, id }, 'closed', { id: this.connectionId }),
		);
		const ended = await unsubscribing.catch(() => 0);
		if (ended > 0 || this.isClosed) return;
		this.close(undefined);
		this.onEnd('closed');
	}

	#enqueue(call: () => void | Promise<void>): void {
		this.#queue = this.#queue.then(call).catch((error: unknown) => this.#setup.onError(error));
	}
}

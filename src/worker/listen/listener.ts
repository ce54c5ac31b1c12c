import type { SubscriptionCallbacks } from '@tmcp/session-manager';
import * as v from 'valibot';
import {
	NotificationSchema,
	type SubscriptionEnd,
	type SubscriptionInput,
} from '../../wire/arguments.ts';
import type { LogPosition } from '../../wire/answers.ts';
import { Connection } from '../connection/connection.ts';
import { type Opened, openSubscription, SubscriptionRefused } from '../connection/open-socket.ts';
import type { SyncLayerNamespace } from '../routing/binding.ts';
import { callObject } from '../routing/object.ts';

/** Whom a listener tells of what happens to it. Neither may throw. */
export interface ListenerReports {
	/** Called each time the listener may have missed something for good. */
	onGap(): void;
	/** Told of a callback that failed, and of the first and the last try to come back that did. */
	onError(error: unknown): void;
}

/** The Worker's side of one `subscriptions/listen` stream: a socket in, tmcp's callbacks out, one after another. */
export class Listener extends Connection {
	#subscription: SubscriptionInput;
	#callbacks: SubscriptionCallbacks;
	#namespace: SyncLayerNamespace;
	#reports: ListenerReports;
	/** When it began, as the object said. */
	#began: number | undefined;
	/** Callbacks are called in order, each after the one before has finished. */
	#queue = Promise.resolve();

	constructor(
		subscription: SubscriptionInput,
		callbacks: SubscriptionCallbacks,
		namespace: SyncLayerNamespace,
		reports: ListenerReports,
	) {
		super();
		this.#subscription = subscription;
		this.#callbacks = callbacks;
		this.#namespace = namespace;
		this.#reports = reports;
	}

	/**
	 * Connect, acknowledge, then carry what comes. The socket is accepted only after the acknowledgement, so the runtime
	 * keeps what arrives until then, in order.
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
		if (end === undefined) this.accept();
		else this.onEnd(end);
		return true;
	}

	protected override async connect(
		lastEventId: string | undefined,
		isBack: boolean,
	): Promise<Opened> {
		const { connectionId } = this;
		const opened = await callObject(
			this.#namespace,
			(stub) =>
				openSubscription(stub, this.#subscription, {
					connectionId,
					lastEventId,
					resume: this.#began,
				}),
			isBack ? 1 : undefined,
		);
		this.#began = opened.began;
		return opened;
	}

	protected override onOpen(log: LogPosition | undefined): void {
		if (log?.recovered === false) this.#reports.onGap();
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
		if (failures === 1 || isLast) this.#reports.onError(error);
	}

	protected override onEnd(end: SubscriptionEnd): void {
		this.#enqueue(() => this.#callbacks.close(end));
	}

	#enqueue(call: () => void | Promise<void>): void {
		this.#queue = this.#queue.then(call).catch((error: unknown) => this.#reports.onError(error));
	}
}

import { waitFor } from './wait-for.ts';

/** How long anything that is waited for may take, in milliseconds. */
export const LIMIT_MS = 20_000;

export interface Notification {
	method: string;
	params?: Record<string, unknown> | undefined;
}

/** A client that records what arrives. */
export class RecordingClient {
	readonly name: string;
	readonly received: Notification[] = [];
	#onNotification: (notification: Notification) => void;

	constructor(name: string, onNotification: (notification: Notification) => void = () => {}) {
		this.name = name;
		this.#onNotification = onNotification;
	}

	/** How many notifications of a method have arrived. */
	count(method: string): number {
		return this.received.filter((notification) => notification.method === method).length;
	}

	/** Wait until `count` notifications of a method have arrived in all. */
	async receives(method: string, count: number): Promise<void> {
		const what = `${this.name} to receive ${count} of ${method}`;
		await waitFor(what, LIMIT_MS, () => this.count(method) >= count);
	}

	protected record(notification: Notification): void {
		this.received.push(notification);
		this.#onNotification(notification);
	}
}

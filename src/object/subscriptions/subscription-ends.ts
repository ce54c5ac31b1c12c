import type {
	SubscriptionEnd,
	SubscriptionInput,
	SubscriptionTarget,
} from '../../wire/arguments.ts';
import { Recent } from '../recent.ts';
import { END_MEMORY_MS } from '../door/ticket-office.ts';

/**
 * Which subscriptions were ended not long ago. One that was between two sockets then, and could not be told, is told when
 * it comes back; one that began after it is not meant.
 */
export class SubscriptionEnds {
	#ends = new Recent<{ reason: SubscriptionEnd; count: number }>(END_MEMORY_MS);
	/** How many ends there had been when a connection began. */
	#began = new Recent<number>(END_MEMORY_MS);
	#count = 0;

	note(target: SubscriptionTarget, reason: SubscriptionEnd): void {
		this.#ends.set(JSON.stringify(target), { reason, count: ++this.#count });
	}

	noteBegin(connectionId: string): void {
		this.#began.set(connectionId, this.#count);
	}

	/** How a subscription was ended since its connection began, if it was. */
	endOf({ origin, id }: SubscriptionInput, connectionId: string): SubscriptionEnd | undefined {
		const began = this.#began.get(connectionId) ?? 0;
		const targets: SubscriptionTarget[] = [{ origin, id }, { origin }, {}];
		return targets
			.map((target) => this.#ends.get(JSON.stringify(target)))
			.find((end) => end !== undefined && end.count > began)?.reason;
	}
}

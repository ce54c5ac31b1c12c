import { SessionManagerError } from '../../errors.ts';
import { TICKET_TTL_MS, TICKET_WAIT_MS } from '../../wire/upgrade.ts';
import { Arrivals } from '../arrivals.ts';
import { Recent } from '../recent.ts';

/** How long the end of a connection is remembered, in milliseconds: longer than any call that it made is under way. */
export const END_MEMORY_MS = 60_000;

/** What a ticket is for. */
export interface Claim {
	/**
	 * Of the claims for one slot only the newest is valid: a session has one stream, an asker one socket, an origin one
	 * subscription of an id.
	 */
	slot: string;
	connectionId: string;
}

/** Why a ticket opens no socket. */
export type RefusalReason =
	| 'unknown'
	| 'expired'
	| 'redeemed'
	| 'forged'
	| 'superseded'
	| 'detached';

export type Redemption<Of extends Claim> =
	| { kind: 'granted'; claim: Of }
	/** `connectionId`: whose ticket it was. */
	| { kind: 'refused'; reason: RefusalReason; connectionId: string | undefined };

interface Ticket<Of extends Claim> extends Claim {
	/** `undefined` once it is not open: a claim can be large. */
	claim: Of | undefined;
	expiresAt: number;
	state: 'open' | 'redeemed' | 'superseded' | 'detached';
}

/**
 * One-time tickets: `attach` and `subscribe` make them, the upgrade redeems them. They live in memory only: a ticket is
 * valid for less time than an object takes to hibernate, and a restarted object refuses it.
 */
export class Tickets<Of extends Claim> {
	/** In the order in which they expire. */
	#tickets = new Map<string, Ticket<Of>>();
	/** Those that are open, or have expired since. */
	#newestOfSlot = new Map<string, Ticket<Of>>();
	/** Upgrades that wait for their ticket. */
	#arrivals = new Arrivals(TICKET_WAIT_MS);
	/** Why connections have ended. */
	#ended = new Recent<string>(END_MEMORY_MS);

	/** A repeated call makes its ticket once. @throws `INVALID_ARGUMENT` where it was made for anything but this claim */
	assertUnused(ticket: string, { slot, connectionId }: Claim): void {
		const known = this.#tickets.get(ticket);
		if (!known || (known.slot === slot && known.connectionId === connectionId)) return;
		throw new SessionManagerError(
			'INVALID_ARGUMENT',
			'the ticket was used before. Make a new one with crypto.randomUUID(), or leave it out.',
		);
	}

	/** The claims that could still be redeemed. */
	get open(): Of[] {
		this.#purge();
		return [...this.#newestOfSlot.values()].flatMap(({ claim }) => claim ?? []);
	}

	/** The claim for this slot that could still be redeemed. */
	claimOf(slot: string): Of | undefined {
		const newest = this.#newestOfSlot.get(slot);
		return newest && newest.expiresAt > Date.now() ? newest.claim : undefined;
	}

	/** Make `ticket` the newest claim for its slot: an older one that is still open is superseded. */
	issue(ticket: string, claim: Of): void {
		this.#purge();
		if (this.#tickets.has(ticket)) return;
		const { slot, connectionId } = claim;
		this.#withdraw(slot, 'superseded');
		const expiresAt = Date.now() + TICKET_TTL_MS;
		const made: Ticket<Of> = { slot, connectionId, claim, expiresAt, state: 'open' };
		this.#tickets.set(ticket, made);
		this.#newestOfSlot.set(slot, made);
		this.#arrivals.come(ticket);
	}

	/**
	 * Withdraw the open ticket for a slot.
	 * @param connectionId only if it is this connection's
	 * @returns whether there was one
	 */
	revoke(slot: string, connectionId?: string): boolean {
		this.#purge();
		return this.#withdraw(slot, 'detached', connectionId);
	}

	/** A stream opens in this slot without a ticket: an older one that is still open is superseded. */
	supersede(slot: string): void {
		this.#withdraw(slot, 'superseded');
	}

	/** A connection has ended: a call of it that arrives later claims nothing. */
	noteEnd(connectionId: string, reason: string): void {
		this.#ended.set(connectionId, reason);
	}

	/** Why a connection has ended, if it has. */
	endOf(connectionId: string): string | undefined {
		return this.#ended.get(connectionId);
	}

	/**
	 * Use a ticket up. An upgrade leaves together with the call that makes its ticket, and may arrive first: a ticket that is
	 * not known yet is waited for.
	 */
	async redeem(ticket: string): Promise<Redemption<Of>> {
		if (!this.#tickets.has(ticket)) await this.#arrivals.wait(ticket);
		const known = this.#tickets.get(ticket);
		if (!known) return { kind: 'refused', reason: 'unknown', connectionId: undefined };
		const { claim, slot, connectionId, state } = known;
		if (!claim || known.expiresAt <= Date.now()) {
			const reason = state === 'open' ? 'expired' : state;
			return { kind: 'refused', reason, connectionId };
		}
		this.#withdraw(slot, 'redeemed');
		return { kind: 'granted', claim };
	}

	#withdraw(slot: string, state: Ticket<Of>['state'], connectionId?: string): boolean {
		const newest = this.#newestOfSlot.get(slot);
		if (!newest) return false;
		if (connectionId !== undefined && newest.connectionId !== connectionId) return false;
		newest.state = state;
		newest.claim = undefined;
		this.#newestOfSlot.delete(slot);
		return true;
	}

	#purge(): void {
		const now = Date.now();
		for (const [name, ticket] of this.#tickets) {
			if (ticket.expiresAt > now) return;
			this.#tickets.delete(name);
			if (this.#newestOfSlot.get(ticket.slot) === ticket) this.#newestOfSlot.delete(ticket.slot);
		}
	}
}

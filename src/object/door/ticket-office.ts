import { TICKET_TTL_MS, TICKET_WAIT_MS } from '../../wire/protocol.ts';
import { Recent } from '../recent.ts';

/** How long the end of a connection is remembered, in milliseconds: longer than the longest pause before it comes back. */
export const END_MEMORY_MS = 60_000;

/** What a ticket is for. */
export interface Claim {
	/** Who may redeem it: the name that the upgrade has to give. */
	holder: string;
	/** Of the claims with one place, only one can be open at a time. */
	place: string;
	connectionId: string;
}

/** How an attempt to turn a ticket into a socket ends. */
export type Redemption<Of extends Claim> =
	| { kind: 'granted'; claim: Of }
	| { kind: 'refused'; reason: RefusalReason };

export type RefusalReason =
	| 'unknown'
	| 'expired'
	| 'redeemed'
	| 'foreign'
	| 'superseded'
	| 'detached';

interface Ticket<Of extends Claim> {
	/** `undefined` once it was redeemed: a claim can be large, and a used ticket is remembered for a while. */
	claim: Of | undefined;
	expiresAt: number;
	state: 'open' | 'redeemed' | 'superseded' | 'detached';
}

/**
 * The one-time tickets that `attach` and `subscribe` make and the upgrade redeems. They live in memory only: a ticket
 * is valid for less time than an object takes to hibernate, so one that is lost with the object would have been refused
 * anyway.
 *
 * A place has one open ticket at most, the newest: so of two racing streams of a session exactly one is let in, whatever
 * the order in which their upgrades arrive.
 */
export class TicketOffice<Of extends Claim> {
	#tickets = new Map<string, Ticket<Of>>();
	#newestOfPlace = new Map<string, string>();
	#waiting = new Map<string, () => void>();
	/** Why connections have ended. */
	#ended = new Recent<string>(END_MEMORY_MS);

	/** Whether a ticket of this name was made and has not been forgotten yet. */
	knows(ticket: string): boolean {
		return this.#tickets.has(ticket);
	}

	/** The claims that could still be redeemed. */
	get open(): Of[] {
		this.#forgetExpired();
		return [...this.#newestOfPlace.values()].flatMap((ticket) => {
			const { claim, state } = this.#tickets.get(ticket) ?? {};
			return claim && state === 'open' ? [claim] : [];
		});
	}

	/** The claim of this place that could still be redeemed. */
	claimOf(place: string): Of | undefined {
		this.#forgetExpired();
		const ticket = this.#newestOfPlace.get(place);
		return ticket === undefined ? undefined : this.#tickets.get(ticket)?.claim;
	}

	/** Make `ticket` the newest claim of its place. An older one that is still open is superseded. */
	issue(ticket: string, claim: Of): void {
		this.#forgetExpired();
		this.#withdraw(claim.place, 'superseded');
		this.#tickets.set(ticket, { claim, expiresAt: Date.now() + TICKET_TTL_MS, state: 'open' });
		this.#newestOfPlace.set(claim.place, ticket);
		this.#waiting.get(ticket)?.();
	}

	/**
	 * Withdraw the open ticket of a place, because it was detached.
	 * @param connectionId withdraw only the ticket of this connection
	 * @returns whether there was one
	 */
	revoke(place: string, connectionId?: string): boolean {
		this.#forgetExpired();
		return this.#withdraw(place, 'detached', connectionId);
	}

	/** Remember that a connection has ended, so that a call of it that comes late claims nothing. */
	noteEnd(connectionId: string, reason: string): void {
		this.#ended.set(connectionId, reason);
	}

	/** Why a connection has ended, if it has. */
	endOf(connectionId: string): string | undefined {
		return this.#ended.get(connectionId);
	}

	/**
	 * Use a ticket up. An upgrade leaves together with the call that makes its ticket, and either may arrive first, so a
	 * ticket that is not known yet is waited for.
	 */
	async redeem(ticket: string, holder: string): Promise<Redemption<Of>> {
		if (!this.knows(ticket)) await this.#arrival(ticket);
		const known = this.#tickets.get(ticket);
		if (!known) return { kind: 'refused', reason: 'unknown' };
		const { claim, expiresAt, state } = known;
		if (!claim) return { kind: 'refused', reason: 'redeemed' };
		if (claim.holder !== holder) return { kind: 'refused', reason: 'foreign' };
		if (state !== 'open') return { kind: 'refused', reason: state };
		if (expiresAt <= Date.now()) return { kind: 'refused', reason: 'expired' };
		this.#tickets.set(ticket, { claim: undefined, expiresAt, state: 'redeemed' });
		this.#newestOfPlace.delete(claim.place);
		return { kind: 'granted', claim };
	}

	#withdraw(place: string, state: 'superseded' | 'detached', connectionId?: string): boolean {
		const newest = this.#newestOfPlace.get(place);
		const ticket = newest === undefined ? undefined : this.#tickets.get(newest);
		if (!ticket?.claim) return false;
		if (connectionId !== undefined && ticket.claim.connectionId !== connectionId) return false;
		ticket.state = state;
		this.#newestOfPlace.delete(place);
		return true;
	}

	#arrival(ticket: string): Promise<void> {
		return new Promise((resolve) => {
			const done = () => {
				clearTimeout(timer);
				this.#waiting.delete(ticket);
				resolve();
			};
			const timer = setTimeout(done, TICKET_WAIT_MS);
			this.#waiting.set(ticket, done);
		});
	}

	/** Tickets expire in the order in which they were made, so the expired ones come first. */
	#forgetExpired(): void {
		const now = Date.now();
		for (const [ticket, { claim, expiresAt }] of this.#tickets) {
			if (expiresAt > now) return;
			this.#tickets.delete(ticket);
			if (claim && this.#newestOfPlace.get(claim.place) === ticket)
				this.#newestOfPlace.delete(claim.place);
		}
	}
}

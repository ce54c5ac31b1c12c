import { TICKET_TTL_MS } from '../protocol.ts';

/** How an attempt to turn a ticket into a socket ends. */
export type Redemption =
	| { kind: 'granted'; connectionId: string }
	| {
			kind: 'refused';
			reason: 'unknown' | 'expired' | 'redeemed' | 'foreign' | 'superseded' | 'detached';
	  };

interface Ticket {
	sessionId: string;
	connectionId: string;
	expiresAt: number;
	state: 'open' | 'redeemed' | 'superseded' | 'detached';
}

/**
 * The one-time tickets that `attach` makes and the upgrade redeems. They live in memory only: a ticket is
 * valid for less time than an object takes to hibernate, so one that is lost with the object would have
 * been refused anyway.
 *
 * A session has one open ticket at most, the newest: so of two racing streams exactly one is let in,
 * whatever the order in which their upgrades arrive.
 */
export class TicketOffice {
	#tickets = new Map<string, Ticket>();
	#newestOfSession = new Map<string, string>();
	#waiting = new Map<string, () => void>();

	/** Whether a ticket of this name was made and has not been forgotten yet. */
	knows(ticket: string): boolean {
		return this.#tickets.has(ticket);
	}

	/** Make `ticket` the session's newest claim. An older one that is still open is superseded. */
	issue(ticket: string, sessionId: string, connectionId: string): void {
		this.#forgetExpired();
		this.#withdraw(sessionId, 'superseded');
		const expiresAt = Date.now() + TICKET_TTL_MS;
		this.#tickets.set(ticket, { sessionId, connectionId, expiresAt, state: 'open' });
		this.#newestOfSession.set(sessionId, ticket);
		this.#waiting.get(ticket)?.();
	}

	/**
	 * Withdraw the session's open ticket because the session was detached.
	 * @param connectionId withdraw only the ticket of this connection
	 * @returns whether there was one
	 */
	revoke(sessionId: string, connectionId?: string): boolean {
		return this.#withdraw(sessionId, 'detached', connectionId);
	}

	/**
	 * Use a ticket up. An upgrade leaves together with the `attach` that makes its ticket, and either may
	 * arrive first, so a ticket that is not known yet is waited for.
	 */
	async redeem(ticket: string, sessionId: string): Promise<Redemption> {
		if (!this.knows(ticket)) await this.#arrival(ticket);
		const known = this.#tickets.get(ticket);
		if (!known) return { kind: 'refused', reason: 'unknown' };
		if (known.sessionId !== sessionId) return { kind: 'refused', reason: 'foreign' };
		if (known.state !== 'open') return { kind: 'refused', reason: known.state };
		if (known.expiresAt <= Date.now()) return { kind: 'refused', reason: 'expired' };
		known.state = 'redeemed';
		this.#newestOfSession.delete(sessionId);
		return { kind: 'granted', connectionId: known.connectionId };
	}

	#withdraw(sessionId: string, state: 'superseded' | 'detached', connectionId?: string): boolean {
		const newest = this.#newestOfSession.get(sessionId);
		const ticket = newest === undefined ? undefined : this.#tickets.get(newest);
		if (!ticket || (connectionId !== undefined && ticket.connectionId !== connectionId))
			return false;
		ticket.state = state;
		this.#newestOfSession.delete(sessionId);
		return true;
	}

	#arrival(ticket: string): Promise<void> {
		return new Promise((resolve) => {
			const done = () => {
				clearTimeout(timer);
				this.#waiting.delete(ticket);
				resolve();
			};
			const timer = setTimeout(done, TICKET_TTL_MS);
			this.#waiting.set(ticket, done);
		});
	}

	/** Tickets expire in the order in which they were made, so the expired ones come first. */
	#forgetExpired(): void {
		const now = Date.now();
		for (const [ticket, { sessionId, expiresAt }] of this.#tickets) {
			if (expiresAt > now) return;
			this.#tickets.delete(ticket);
			if (this.#newestOfSession.get(sessionId) === ticket) this.#newestOfSession.delete(sessionId);
		}
	}
}

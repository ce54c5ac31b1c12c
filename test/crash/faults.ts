import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../torture/random.ts';
import { ask } from './ask.ts';
import type { Session } from './session.ts';
import type { Workerd } from './workerd.ts';
import type { World } from './world.ts';

/** How long deliveries are waited for before a kill, in milliseconds. */
const DELIVERIES_LIMIT_MS = 15_000;

/** Kills the process, replaces the object, stops the process for a while, and cuts connections. */
export class Faults {
	#kills: Random;
	#others: Random;
	#world: World;
	#workerd: Workerd;
	#sessions: readonly Session[];

	/** @param kills, others numbers of their own, because the two go on at the same time */
	constructor(
		{ kills, others }: { kills: Random; others: Random },
		world: World,
		workerd: Workerd,
		sessions: readonly Session[],
	) {
		this.#kills = kills;
		this.#others = others;
		this.#world = world;
		this.#workerd = workerd;
		this.#sessions = sessions;
	}

	/** SIGKILL and start, again and again, until the disturbances are over. */
	async kill(): Promise<void> {
		for (;;) {
			await this.#untilNextKill();
			// Now and then again at once, while all are coming back.
			for (let times = this.#kills.below(6) === 0 ? 2 : 1; times > 0; times--) {
				if (this.#world.isCalm) return;
				await this.#workerd.kill();
				this.#world.count('kills');
				await wait(this.#kills.below(120));
				await this.#workerd.start();
				if (times > 1) await this.#world.disturbedFor(this.#kills.below(80));
			}
		}
	}

	/**
	 * By time and by deliveries: by time alone a machine that is busy with something else would get nothing done between two
	 * kills, and by deliveries alone a server that delivers nothing would live for ever.
	 */
	async #untilNextKill(): Promise<void> {
		const { counts } = this.#world;
		const deliveries = (counts['deliveries'] ?? 0) + this.#kills.below(3_000);
		await this.#world.disturbedFor(300 + this.#kills.below(1_500));
		const limit = Date.now() + DELIVERIES_LIMIT_MS;
		while ((counts['deliveries'] ?? 0) < deliveries && Date.now() < limit && !this.#world.isCalm)
			await this.#world.disturbedFor(20);
	}

	/** Everything else, until the disturbances are over. */
	async disturb(): Promise<void> {
		for (;;) {
			await this.#world.disturbedFor(600 + this.#others.below(2_000));
			if (this.#world.isCalm) return;
			switch (this.#others.pick(['replace', 'cut', 'pause'] as const)) {
				case 'replace':
					await this.#replace();
					break;
				case 'cut':
					this.#cut();
					break;
				case 'pause':
					this.#world.count('pauses');
					await this.#workerd.pause(50 + this.#others.below(700));
			}
		}
	}

	async #replace(): Promise<void> {
		const url = new URL('/control/replace', this.#world.url);
		// While the process is down there is nothing to replace.
		const answer = await ask('POST', url, {}).catch(() => undefined);
		if (answer?.status === 200) this.#world.count('replaced');
	}

	/** About a quarter of the connections, all at once. */
	#cut(): void {
		for (const session of this.#sessions) {
			if (!session.isPresent) continue;
			if (this.#others.below(4) === 0 && session.cut()) this.#world.count('cut');
		}
	}
}

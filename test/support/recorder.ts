import {
	type EventName,
	type EventOf,
	EVENT_NAMES,
	type SessionEvent,
	subscribe,
} from '../../src/diagnostics.ts';

/** Listens to events, and keeps them. */
export class Recorder {
	readonly events: SessionEvent[] = [];
	readonly stop: () => void;

	constructor(names: readonly EventName[] = EVENT_NAMES) {
		this.stop = subscribe((event) => this.events.push(event), names);
	}

	/** Those of a name, and of one side or both. */
	of<Name extends EventName>(name: Name, side?: SessionEvent['side']): EventOf<Name>[] {
		return this.events
			.filter((event): event is EventOf<Name> => event.name === name)
			.filter((event) => side === undefined || event.side === side);
	}
}

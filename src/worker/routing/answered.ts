import type { InfoChange } from '../../wire/arguments.ts';

/** What `SyncLayer.admitWithInfo` answers, as it arrives. */
export interface Answered {
	info: string | undefined;
	/** To be called in the same request, as part of the same call. */
	session?: { inform(changes: readonly InfoChange[]): Promise<void> };
	upgradeKey?: string | undefined;
	[Symbol.dispose]?(): void;
}

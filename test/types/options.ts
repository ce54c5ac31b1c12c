/** Checked by `tsc`, with `noImplicitOverride`: how a subclass gives its settings, and what the lists of the package are. */
import {
	SESSION_MANAGER_ERROR_CODES,
	SYNC_LAYER_NAME,
	type SessionManagerErrorCode,
	SyncLayer,
	type SyncLayerOptions,
} from '@tmcp/session-manager-durable-objects';

export class WithoutLog extends SyncLayer {
	static override readonly options: SyncLayerOptions = { log: false };
}

export class Misspelt extends SyncLayer {
	// @ts-expect-error there is no such setting
	static override readonly options: SyncLayerOptions = { logs: false };
}

export const codes: readonly SessionManagerErrorCode[] = SESSION_MANAGER_ERROR_CODES;
export const name: 'TMCP_DURABLE_OBJECT' = SYNC_LAYER_NAME;
// @ts-expect-error there is no such code
export const code: SessionManagerErrorCode = 'NO_SUCH_CODE';

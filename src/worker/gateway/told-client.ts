import * as v from 'valibot';
import { SessionManagerError } from '../../errors.ts';
import { SESSION_INFO_ENTRIES, toStoredInfo } from '../../wire/session-info.ts';
import { type MessageKind, PerRequestSchema } from './request-kind.ts';

const InitializeSchema = v.object({
	params: v.object({
		clientInfo: SESSION_INFO_ENTRIES.clientInfo,
		capabilities: SESSION_INFO_ENTRIES.clientCapabilities,
	}),
});

export type ClientFlaw = 'clientInvalid' | 'clientTooLarge';

/**
 * What is wrong with what a message tells of its client, if anything. tmcp collects every issue of it: 200 KB of wrong icons
 * were measured to take 66 MB, before anybody is known. Here the first issue is enough, and the size is limited.
 */
export function flawOfClient(kind: MessageKind, message: unknown): ClientFlaw | undefined {
	if (kind === 'initialize') {
		if (!v.is(InitializeSchema, message)) return 'clientInvalid';
		const { clientInfo, capabilities } = message.params;
		return flawOf([clientInfo, capabilities]);
	}
	// The transport has a better answer to one that is wrong; a small one does no harm.
	if (!v.is(PerRequestSchema, message)) return undefined;
	const { _meta } = message.params;
	return flawOf(
		['clientInfo', 'clientCapabilities'].map(
			(name) => _meta[`io.modelcontextprotocol/${name}`] ?? null,
		),
	);
}

function flawOf(told: unknown): ClientFlaw | undefined {
	try {
		toStoredInfo(told);
		return undefined;
	} catch (error) {
		const { code } = SessionManagerError.from(error) ?? {};
		return code === 'PAYLOAD_TOO_LARGE' ? 'clientTooLarge' : 'clientInvalid';
	}
}

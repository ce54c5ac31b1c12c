/**
 * A page for operators, which a Worker mounts behind its own authorisation. Only what imports it has it in its bundle.
 *
 * @module inspector
 */

export {
	SessionInspector,
	type SessionInspectorOptions,
} from './worker/inspector/session-inspector.ts';
/** What `SyncLayer.inspect` takes and answers, for a page of one's own. */
export type { InspectOptions } from './wire/arguments.ts';
export type {
	Inspected,
	InspectedEvent,
	InspectedPage,
	InspectedSession,
	ListenerSummary,
} from './wire/inspection.ts';
export { SessionManagerError, type SessionManagerErrorCode } from './errors.ts';

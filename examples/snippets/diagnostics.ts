import { subscribe } from '@tmcp/session-manager-durable-objects/diagnostics';

subscribe(
	({ name, side, home, session }) => console.log(name, side, home, session),
	['gap', 'refused', 'error'],
);

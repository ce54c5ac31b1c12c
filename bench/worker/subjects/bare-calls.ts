import { drive } from '../driver.ts';
import { type Floor, FloorStreams } from '../floor-streams.ts';

export { FloorObject as SyncLayer } from '../floor-object.ts';

export default drive(
	(env: { TMCP_DURABLE_OBJECT: DurableObjectNamespace<Floor> }) =>
		new FloorStreams(env.TMCP_DURABLE_OBJECT, 'claim and upgrade'),
);

/**
 * The name of the object that holds the streams, the same as in version 0.3. Another Worker reaches it with
 * `env.TMCP_DURABLE_OBJECT.getByName(SYNC_LAYER_NAME)`.
 */
export const SYNC_LAYER_NAME = 'TMCP_DURABLE_OBJECT';

/** The WebSocket tag of all streams. It has a space in it, so that no session id, which is a tag too, is the same. */
export const STREAM_TAG = 'kind stream';

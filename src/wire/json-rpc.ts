/** The codes of JSON-RPC errors that this library makes, as the official SDK has them. */
export const JsonRpcError = {
	connectionClosed: -32000,
	requestTimeout: -32001,
	internal: -32603,
} as const;

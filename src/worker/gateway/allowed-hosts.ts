import * as v from 'valibot';

/** A host as URLs write it: in lower case, international names in Punycode, IPv6 in brackets. */
interface Host {
	name: string;
	/** `undefined`: any port. */
	port: string | undefined;
}

const HOST = /^(?<name>\[[\da-f:.]+\]|[^\s:/?#@*%<>^|\\[\]]+)(?::(?<port>\d{1,5}))?$/i;

function parseHost(text: string): Host | undefined {
	const { name, port } = HOST.exec(text)?.groups ?? {};
	const url = `http://${name}`;
	if (name === undefined || !URL.canParse(url)) return undefined;
	return { name: new URL(url).hostname, port };
}

/** None at all is refused: it could mean that nobody is let in, or everybody. */
export const AllowedHostsSchema = v.pipe(
	v.array(
		v.pipe(
			v.string(),
			v.check(
				(text) => parseHost(text) !== undefined,
				'not a host, such as example.com, localhost:8787 or [::1]',
			),
		),
	),
	v.nonEmpty('no host'),
	v.transform((hosts) => hosts.flatMap((text) => parseHost(text) ?? [])),
);

type AllowedHosts = v.InferOutput<typeof AllowedHostsSchema>;

/**
 * The answer to a request that was sent to another host than these, as the official SDK's server gives it. Both the URL and
 * the `Host` header must name one: a Worker behind a proxy may see them differ.
 */
export function refuseForeignHost(
	{ url, headers }: Request,
	allowed: AllowedHosts,
): Response | undefined {
	const { host, protocol } = new URL(url);
	const defaultPort = protocol === 'https:' ? '443' : '80';
	const foreign = [host, headers.get('host') ?? host].find((text) => {
		const sent = parseHost(text);
		return !allowed.some(
			({ name, port = sent?.port }) =>
				name === sent?.name && (port ?? defaultPort) === (sent.port ?? defaultPort),
		);
	});
	if (foreign === undefined) return undefined;
	const error = { code: -32000, message: `Invalid Host: ${foreign}` };
	return Response.json({ jsonrpc: '2.0', id: null, error }, { status: 403 });
}

import * as v from 'valibot';

/** A host as URLs write it: in lower case, international names in Punycode, IPv6 in brackets. */
interface Host {
	name: string;
	/** `undefined`: any port. */
	port: number | undefined;
}

/** Neither a URL nor a pattern: nothing that is anything else than a name, an IPv4 or an IPv6, and perhaps a port. */
const HOST = /^(\[[\da-f:.]+\]|[^\s:/?#@*%<>^|\\[\]]+)(?::(\d{1,5}))?$/i;

function parseHost(text: string): Host | undefined {
	const [, name, port] = HOST.exec(text) ?? [];
	const url = `http://${text}`;
	if (name === undefined || !URL.canParse(url)) return undefined;
	return { name: new URL(url).hostname, port: port === undefined ? undefined : Number(port) };
}

/** An empty list is refused: it could mean that nobody is let in, or everybody. */
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
	v.minLength(1, 'no host'),
	v.transform((hosts) => hosts.flatMap((text) => parseHost(text) ?? [])),
);

/** Whether a request is for one of the hosts: both the URL and the `Host` header must name one, because a proxy may change either. */
export function isForAllowedHost(
	{ host, protocol }: URL,
	{ headers }: Request,
	allowed: v.InferOutput<typeof AllowedHostsSchema>,
): boolean {
	const defaultPort = protocol === 'https:' ? 443 : 80;
	return [host, headers.get('host') ?? host].every((text) => {
		const sent = parseHost(text);
		return allowed.some(
			({ name, port }) =>
				name === sent?.name && (port === undefined || port === (sent.port ?? defaultPort)),
		);
	});
}

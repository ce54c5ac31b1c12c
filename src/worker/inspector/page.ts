import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** Nothing is loaded from elsewhere, nothing inline runs but our own script, and no text of a client becomes markup. */
function policy(nonce: string): string {
	return [
		"default-src 'none'",
		`script-src 'nonce-${nonce}'`,
		`style-src 'nonce-${nonce}'`,
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	].join('; ');
}

/** The page. All that it shows it asks for itself. */
export function page(): Response {
	const nonce = crypto.randomUUID();
	return new Response(html(nonce), {
		headers: {
			'content-type': 'text/html; charset=utf-8',
			'content-security-policy': policy(nonce),
			'cache-control': 'no-store',
			'referrer-policy': 'no-referrer',
			'x-content-type-options': 'nosniff',
			'cross-origin-opener-policy': 'same-origin',
			'cross-origin-resource-policy': 'same-origin',
		},
	});
}

const NUMBER = 'class="number"';

/**
 * @param columns the attributes of each, by title. Roles are explicit because `display: block`, on a narrow screen, drops
 * them
 */
function table(id: string, columns: Record<string, string>): string {
	const headers = Object.entries(columns).map(
		([title, attributes]) => `<th role="columnheader" scope="col" ${attributes}>${title}</th>`,
	);
	return `<table id="${id}" role="table">
	<thead role="rowgroup"><tr role="row">${headers.join('')}</tr></thead>
	<tbody role="rowgroup"></tbody>
</table>`;
}

const pages = (id: string, what: string) => `<nav aria-label="Pages of ${what}">
	<button id="${id}-first" type="button" disabled>First page</button>
	<button id="${id}-next" type="button" disabled>Next page</button>
</nav>`;

const html = (nonce: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Session inspector</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<header>
	<h1>Session inspector</h1>
	<p id="status" role="status"></p>
	<button id="pause" type="button" aria-pressed="false">Pause</button>
</header>
<main>
	<section aria-labelledby="homes-title" class="half">
		<h2 id="homes-title">Homes</h2>
		${table('homes', { Home: '', Streams: NUMBER, Listeners: NUMBER, Known: `${NUMBER} title="Those that have ended and are not forgotten yet included"`, 'In the log': NUMBER })}
	</section>
	<section aria-labelledby="rates-title" class="half">
		<h2 id="rates-title">Messages a second</h2>
		<div id="chart"></div>
		<p class="legend"><span class="all">all homes</span> <span class="one">home <b class="chosen">0</b></span></p>
	</section>
	<section aria-labelledby="sessions-title">
		<h2 id="sessions-title">Sessions of home <span class="chosen">0</span></h2>
		${table('sessions', { Session: '', State: '', Client: '', Age: NUMBER, Position: NUMBER, Waiting: NUMBER, 'Expires in': NUMBER, '<span class="unseen">Action</span>': '' })}
		<p class="empty" id="no-sessions" hidden>No sessions on this page.</p>
		${pages('sessions', 'sessions')}
	</section>
	<section aria-labelledby="listeners-title">
		<h2 id="listeners-title">Listen streams of home <span class="chosen">0</span></h2>
		${table('listeners', { Request: '', Lists: '', Resources: '' })}
		<p class="empty" id="no-listeners" hidden>No listen streams on this page.</p>
		${pages('listeners', 'listen streams')}
	</section>
	<section aria-labelledby="log-title">
		<h2 id="log-title">End of the log of home <span class="chosen">0</span></h2>
		<div class="scroll" tabindex="0" role="region" aria-labelledby="log-title">
			${table('log', { Event: NUMBER, Time: '', For: '', Method: '', Bytes: NUMBER })}
		</div>
		<p class="empty" id="no-log" hidden>Nothing was sent yet, or the log is off.</p>
	</section>
</main>
<dialog id="confirm" aria-labelledby="confirm-title">
	<h2 id="confirm-title">End session <span id="confirm-name"></span>?</h2>
	<p>Its stream is closed, what waits for it is lost, and its client has to initialise again.</p>
	<p class="actions"><button id="confirm-no" type="button">Keep it</button> <button id="confirm-yes" type="button" class="primary">End session</button></p>
</dialog>
<script type="module" nonce="${nonce}">${SCRIPT}</script>
</body>
</html>
`;

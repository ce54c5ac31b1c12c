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
		<table id="homes" role="table">
			<thead role="rowgroup"><tr role="row">
				<th role="columnheader" scope="col">Home</th>
				<th role="columnheader" scope="col" class="number">Streams</th>
				<th role="columnheader" scope="col" class="number">Listeners</th>
				<th role="columnheader" scope="col" class="number" title="Those that have ended and are not forgotten yet included">Known</th>
				<th role="columnheader" scope="col" class="number">In the log</th>
			</tr></thead>
			<tbody role="rowgroup"></tbody>
		</table>
	</section>
	<section aria-labelledby="rates-title" class="half">
		<h2 id="rates-title">Messages a second</h2>
		<div id="chart"></div>
		<p class="legend"><span class="all">all homes</span> <span class="one">home <b class="chosen">0</b></span></p>
	</section>
	<section aria-labelledby="sessions-title">
		<h2 id="sessions-title">Sessions of home <span class="chosen">0</span></h2>
		<table id="sessions" role="table">
			<thead role="rowgroup"><tr role="row">
				<th role="columnheader" scope="col">Session</th>
				<th role="columnheader" scope="col">State</th>
				<th role="columnheader" scope="col">Client</th>
				<th role="columnheader" scope="col" class="number">Age</th>
				<th role="columnheader" scope="col" class="number">Position</th>
				<th role="columnheader" scope="col" class="number">Waiting</th>
				<th role="columnheader" scope="col" class="number">Expires in</th>
				<th role="columnheader" scope="col"><span class="unseen">Action</span></th>
			</tr></thead>
			<tbody role="rowgroup"></tbody>
		</table>
		<p class="empty" id="no-sessions" hidden>No sessions on this page.</p>
		<nav aria-label="Pages of sessions">
			<button id="sessions-first" type="button" disabled>First page</button>
			<button id="sessions-next" type="button" disabled>Next page</button>
		</nav>
	</section>
	<section aria-labelledby="listeners-title">
		<h2 id="listeners-title">Listen streams of home <span class="chosen">0</span></h2>
		<table id="listeners" role="table">
			<thead role="rowgroup"><tr role="row">
				<th role="columnheader" scope="col">Request</th>
				<th role="columnheader" scope="col">Lists</th>
				<th role="columnheader" scope="col">Resources</th>
			</tr></thead>
			<tbody role="rowgroup"></tbody>
		</table>
		<p class="empty" id="no-listeners" hidden>No listen streams on this page.</p>
		<nav aria-label="Pages of listen streams">
			<button id="listeners-first" type="button" disabled>First page</button>
			<button id="listeners-next" type="button" disabled>Next page</button>
		</nav>
	</section>
	<section aria-labelledby="log-title">
		<h2 id="log-title">End of the log of home <span class="chosen">0</span></h2>
		<div class="scroll" tabindex="0" role="region" aria-labelledby="log-title">
			<table id="log" role="table">
				<thead role="rowgroup"><tr role="row">
					<th role="columnheader" scope="col" class="number">Event</th>
					<th role="columnheader" scope="col">Time</th>
					<th role="columnheader" scope="col">For</th>
					<th role="columnheader" scope="col">Method</th>
					<th role="columnheader" scope="col" class="number">Bytes</th>
				</tr></thead>
				<tbody role="rowgroup"></tbody>
			</table>
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

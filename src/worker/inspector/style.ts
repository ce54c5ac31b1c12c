/** One accent colour, in light and in dark; below 640 pixels each row of a table is a card. */
export const STYLE = `
:root {
	color-scheme: light dark;
	--paper: #f7f7f5; --card: #ffffff; --ink: #1d2125; --soft: #5a636b; --line: #e1e3e1;
	--accent: #0b6b63; --on-accent: #ffffff; --tint: #0b6b631f;
	font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
@media (prefers-color-scheme: dark) {
	:root {
		--paper: #14171a; --card: #1c2024; --ink: #e7eaec; --soft: #9aa5ad; --line: #2e3439;
		--accent: #5cc9bd; --on-accent: #0c1f1d; --tint: #5cc9bd26;
	}
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink); }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; max-width: 1160px; margin: 0 auto; padding: 20px 20px 4px; }
h1 { font-size: 20px; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 14px; font-weight: 600; margin: 0 0 10px; }
#status { flex: 1; min-width: 180px; margin: 0; color: var(--soft); font-size: 13px; }
#status.wrong { color: var(--ink); font-weight: 600; }
main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; max-width: 1160px; margin: 0 auto; padding: 12px 20px 40px; }
section { grid-column: 1 / -1; min-width: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; }
section.half { grid-column: span 1; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: start; font-weight: 500; font-size: 12px; color: var(--soft); padding: 0 10px 6px 0; white-space: nowrap; }
td { padding: 7px 10px 7px 0; border-top: 1px solid var(--line); vertical-align: middle; overflow-wrap: anywhere; }
#log td { vertical-align: top; }
#log :is(td, th):first-child { width: 64px; padding-inline-end: 18px; }
th.number, td.number { text-align: end; }
td.id, td.method { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 13px; }
th:last-child, td:last-child { padding-inline-end: 0; }
td.action { text-align: end; white-space: nowrap; }
tr.chosen td { background: var(--tint); }
#homes :is(td, th):first-child { padding-inline-start: 8px; }
#homes :is(td, th):last-child { padding-inline-end: 8px; }
label { display: flex; align-items: center; gap: 8px; cursor: pointer; }
input { accent-color: var(--accent); margin: 0; width: 16px; height: 16px; }
.state { display: inline-flex; align-items: center; gap: 6px; }
.state::before { content: ""; width: 8px; height: 8px; border-radius: 50%; border: 1.5px solid var(--soft); }
.state.open::before { background: var(--accent); border-color: var(--accent); }
.soft, .empty, .legend { color: var(--soft); }
.empty { margin: 0; font-size: 14px; }
.legend { display: flex; gap: 16px; margin: 8px 0 0; font-size: 13px; }
.legend span::before { content: ""; display: inline-block; width: 18px; margin-inline-end: 6px; vertical-align: middle; border-top: 3px solid var(--accent); }
.legend .one::before { border-top: 2px dashed var(--ink); }
.legend b { font-weight: inherit; }
nav { display: flex; gap: 8px; margin-top: 12px; }
button { font: inherit; font-size: 13px; min-height: 32px; padding: 4px 12px; color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: 7px; cursor: pointer; }
button:hover:enabled { border-color: var(--accent); }
button:disabled { color: var(--soft); opacity: 0.6; cursor: default; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
td.action button { min-height: 28px; padding: 1px 10px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll { max-height: 420px; overflow: auto; }
.scroll thead th { position: sticky; top: 0; background: var(--card); }
details summary { cursor: pointer; }
pre { margin: 6px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; color: var(--soft); }
svg { display: block; width: 100%; height: 150px; }
svg text { font-size: 11px; fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .area { fill: var(--tint); }
svg .all { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
svg .one { fill: none; stroke: var(--ink); stroke-width: 1.25; stroke-dasharray: 4 3; }
dialog { max-width: 420px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px; }
dialog::backdrop { background: #0008; }
dialog h2 { font-size: 16px; }
dialog p { margin: 0 0 12px; color: var(--soft); }
dialog .actions { display: flex; justify-content: end; gap: 8px; margin: 16px 0 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 860px) { section.half { grid-column: 1 / -1; } }
@media (max-width: 640px) {
	header { padding: 16px 12px 4px; }
	main { padding: 8px 12px 32px; gap: 12px; }
	#sessions, #sessions tbody, #listeners, #listeners tbody, #log, #log tbody { display: block; }
	#sessions thead, #listeners thead, #log thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
	#sessions tr, #listeners tr, #log tbody tr { display: grid; grid-template-columns: 1fr 1fr; gap: 2px 12px; padding: 10px 0; border-top: 1px solid var(--line); }
	#sessions td, #listeners td, #log td { display: block; border: 0; padding: 0; text-align: start; }
	#sessions td::before, #listeners td::before, #log td::before { content: attr(data-label); display: block; font: 12px/1.4 system-ui, sans-serif; color: var(--soft); }
	#log td.method, #listeners td:last-child { grid-column: 1 / -1; }
	#log td.method { order: 1; }
	#log :is(td, th):first-child { width: auto; }
	td.action { align-self: end; }
	td.action::before { content: none !important; }
	th { white-space: normal; }
	#homes th, #homes td { padding-inline-end: 6px; }
	button, td.action button { min-height: 40px; }
}
@media (prefers-reduced-motion: no-preference) { button { transition: border-color 120ms; } }
`;

/** `npm run screenshots`: the pictures of the README, of the playground and the inspector as they are. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { ROOT, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { hasChromium, launchChromium, NO_CHROMIUM } from './chromium.ts';
import { CONFIG, openInspector, Playground } from './pages.ts';

const DIRECTORY = join(ROOT, 'docs/images');
const DESKTOP = { width: 1160, height: 860 };

/** For how long something is sent before the picture of the rates is taken, in milliseconds. */
const RATES_MS = 24_000;

async function take(browser: Browser, url: URL): Promise<void> {
	const open = () => browser.newPage({ viewport: DESKTOP, colorScheme: 'light' });
	const page = await open();
	await page.goto(url.href);
	const play = new Playground(page);
	const [one, other] = [await play.open('A'), await play.open('B')];
	await play.listen('C');
	await one.getByRole('button', { name: 'Subscribe to the memo' }).click();
	await one.getByText('Subscribed to').waitFor();
	await play.press('Message to all sessions');
	await play.has(other, 1);
	await other.getByRole('button', { name: 'Cut the stream' }).click();
	await other.getByText('cut', { exact: true }).waitFor();
	await play.press('Message to all sessions');
	await play.press('Write the memo');
	await play.press('Tools changed');
	await play.has(one, 2);
	await one.getByRole('button', { name: 'Order lunch' }).click();
	await one.getByRole('textbox').waitFor();
	const [, home = ''] = /Its home is (\d),/.exec(await one.innerText()) ?? [];
	// The figures are asked for every few seconds.
	await page.getByRole('img', { name: new RegExp(`home ${home}: [1-9]`) }).waitFor();
	await page.screenshot({ path: join(DIRECTORY, 'playground.png') });

	const inspector = await open();
	await openInspector(inspector, url);
	await inspector.getByRole('radio', { name: home, exact: true }).check();
	const end = Date.now() + RATES_MS;
	for (let round = 0; Date.now() < end; round++) {
		await page.evaluate((count) => {
			for (let n = 0; n < count; n++) document.getElementById('tools')?.click();
		}, round % 9);
		await page.waitForTimeout(1_000);
	}
	await inspector.screenshot({ path: join(DIRECTORY, 'inspector.png') });
}

if (!hasChromium) throw new Error(NO_CHROMIUM);
mkdirSync(DIRECTORY, { recursive: true });
const server = await startDevServer({ configs: [CONFIG] });
const browser = await launchChromium();
try {
	await take(browser, server.url);
} finally {
	await browser.close();
	await server.stop();
}

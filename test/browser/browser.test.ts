/** The playground and the inspector in a real Chromium, on one `wrangler dev`. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type DevServer, startDevServer } from '../../examples/quickstart/demo/dev-server.ts';
import { hasChromium, launchChromium, NO_CHROMIUM } from './chromium.ts';
import { CONFIG, LIMIT_MS, openInspector, Playground } from './pages.ts';

if (!hasChromium) console.warn(NO_CHROMIUM);

/** How long the homes take to hibernate, with the page's own pause, in milliseconds. */
const SLEEP_LIMIT_MS = 25_000;

describe.skipIf(!hasChromium)('in Chromium', () => {
	let server: DevServer;
	let browser: Browser;

	beforeAll(async () => {
		[server, browser] = await Promise.all([
			startDevServer({ configs: [CONFIG] }),
			launchChromium(),
		]);
	});
	afterAll(async () => {
		await browser?.close();
		await server?.stop();
	});

	/** A tab of its own; a test fails where its page logs an error. */
	async function tab(options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
		const page = await browser.newPage(options);
		const errors: string[] = [];
		page.on('pageerror', (error) => errors.push(String(error)));
		page.on('console', (message) => {
			if (message.type() === 'error') errors.push(message.text());
		});
		onTestFinished(async () => {
			await page.close();
			expect(errors).toEqual([]);
		});
		return page;
	}

	async function playground(): Promise<Playground> {
		const page = await tab();
		await page.goto(server.url.href);
		return new Playground(page);
	}

	// The first test: of a client that only goes away the server hears with the next keep-alive.
	test('the chart tells where the streams are, while they come and go', async () => {
		const play = await playground();
		const card = await play.open('A');
		await play.listen('B');
		const [, home = ''] = /Its home is (\d),/.exec(await card.innerText()) ?? [];
		const chart = play.page.locator('#chart').getByRole('img');
		/** How many streams of sessions and listen streams there are, by home. */
		const figures = async () => {
			const label = (await chart.getAttribute('aria-label')) ?? '';
			expect(label).toMatch(/^Open streams of sessions and listen streams: /);
			const homes = label.matchAll(/home (\d): (\d+) and (\d+)/g);
			return Array.from(homes, ([, of, ...counts]) => [of, ...counts.map(Number)]);
		};
		const sums = (of: Awaited<ReturnType<typeof figures>>) =>
			[1, 2].map((kind) => of.reduce((sum, counts) => sum + Number(counts[kind]), 0));
		const limit = { timeout: LIMIT_MS };
		await expect.poll(async () => sums(await figures()), limit).toEqual([1, 1]);
		expect((await figures()).find(([, streams]) => streams === 1)?.[0]).toBe(home);
		await card.getByRole('button', { name: 'End' }).click();
		await expect.poll(async () => sums(await figures()), limit).toEqual([0, 1]);
	});

	test('a session that was cut resumes with what it missed, each with its event id', async () => {
		const play = await playground();
		const one = await play.open('A');
		const other = await play.open('B');
		await play.press('Message to all sessions');
		await play.has(one, 1);
		expect(await one.getByText(/^id \d+\.[0-9a-z]{8}\.\d+$/).count()).toBeGreaterThan(0);

		await one.getByRole('button', { name: 'Cut the stream' }).click();
		await one.getByText('cut', { exact: true }).waitFor();
		await play.press('Ten messages');
		await play.has(other, 11);
		expect(await one.getByText('1 of 11 messages, 10 to come').count()).toBe(1);
		await one.getByRole('button', { name: 'Resume' }).click();

		await play.has(one, 11);
	});

	test('the memo reaches who subscribed and who listens, and nobody else', async () => {
		const play = await playground();
		const subscriber = await play.open('A');
		const other = await play.open('B');
		const listener = await play.listen('C');
		await subscriber.getByRole('button', { name: 'Subscribe to the memo' }).click();
		await subscriber.getByText('Subscribed to').waitFor();

		await play.press('Write the memo');
		await play.press('Tools changed');

		const updated = 'notifications/resources/updated: memo://board';
		for (const card of [subscriber, listener]) await card.getByText(updated).waitFor();
		for (const card of [subscriber, other, listener])
			await card.getByText('notifications/tools/list_changed').waitFor();
		expect(await other.getByText(updated).count()).toBe(0);
	});

	test('an elicitation is answered by keyboard', async () => {
		const play = await playground();
		const card = await play.open('A');
		await card.getByRole('button', { name: 'Order lunch' }).focus();
		await play.page.keyboard.press('Enter');
		await card.getByRole('textbox', { name: 'What would you like for lunch?' }).waitFor();
		await play.page.keyboard.type('Soup');
		await play.page.keyboard.press('Enter');

		await card.getByText('answer Ordered: Soup').waitFor();
	});

	test(
		'homes that are replaced, and homes that hibernate, lose nothing',
		async () => {
			const play = await playground();
			const [one, other] = [await play.open('A'), await play.open('B')];
			await play.press('Message to all sessions');
			await play.press('Replace all homes');
			await play.page.getByText(/homes were replaced/).waitFor();
			await play.press('Message to all sessions');
			for (const card of [one, other]) await play.has(card, 2);

			await play.press('Let them hibernate');
			const said = play.page.getByText(/had hibernated/);
			await said.waitFor({ timeout: SLEEP_LIMIT_MS });
			expect(await said.textContent()).not.toMatch(/^0 of/);
			await play.press('Message to all sessions');
			for (const card of [one, other]) {
				await play.has(card, 3);
				expect(await card.getByText('open', { exact: true }).count()).toBe(1);
			}
		},
		SLEEP_LIMIT_MS + 4 * LIMIT_MS,
	);

	test('the inspector shows what the playground does, and ends a session by keyboard', async () => {
		const play = await playground();
		await play.open('A');
		await play.listen('B');
		const card = await play.open('C');
		await play.press('Message to all sessions');
		const note = await card.getByText(/^Its home is/).textContent();
		const [, home = '', name = ''] = /is (\d), .* calls it (\S+)\.$/.exec(note ?? '') ?? [];
		const page = await tab();
		await openInspector(page, server.url);
		await page.getByRole('radio', { name: home, exact: true }).check();
		const row = page.locator('#sessions tbody tr', { hasText: name });
		await row.getByText('Playground C 1.0.0').waitFor();
		await row.getByText('open', { exact: true }).waitFor();
		await page.locator('#log').getByText('notifications/message').first().waitFor();
		await page.getByRole('img', { name: /^Messages a second/ }).waitFor();

		await row.getByRole('button', { name: `End session ${name}` }).focus();
		await page.keyboard.press('Enter');
		await page.getByRole('dialog', { name: /^End session/ }).waitFor();
		await page.keyboard.press('Tab');
		await page.keyboard.press('Enter');

		await page.getByText(/^Session \S+ has ended\.$/).waitFor();
		await play.card('Session C').getByText('ended', { exact: true }).waitFor();
	});

	test('an inspector that is paused asks nothing, however long it is open', async () => {
		const page = await tab();
		await page.clock.install();
		let asked = 0;
		page.on('request', (request) => {
			if (request.url().includes('/inspector/data')) asked++;
		});
		await openInspector(page, server.url);
		await page.getByRole('button', { name: 'Pause' }).press('Enter');
		await page.getByText('Paused: nothing is asked of the server.').waitFor();
		const before = asked;
		await page.clock.fastForward(60_000);
		expect(asked).toBe(before);
		const request = page.waitForRequest(/inspector\/data/);
		await page.getByRole('button', { name: 'Pause' }).press('Enter');
		await request;
	});

	test('an inspector whose tab is hidden asks nothing, however long it is', async () => {
		const page = await tab();
		await page.clock.install();
		let asked = 0;
		page.on('request', (request) => {
			if (request.url().includes('/inspector/data')) asked++;
		});
		await openInspector(page, server.url);
		const become = (hidden: boolean) =>
			page.evaluate((isHidden) => {
				Object.defineProperty(document, 'hidden', { configurable: true, value: isHidden });
				document.dispatchEvent(new Event('visibilitychange'));
			}, hidden);
		await become(true);
		const before = asked;
		await page.clock.fastForward(60_000);
		expect(asked).toBe(before);
		const request = page.waitForRequest(/inspector\/data/);
		await become(false);
		await request;
	});

	test('what a client calls itself is text on the page of an operator', async () => {
		const name = '<img src=x onerror=alert(1)><script>alert(2)</script>';
		const body = {
			jsonrpc: '2.0',
			id: 1,
			method: 'initialize',
			params: {
				protocolVersion: '2025-06-18',
				capabilities: {},
				clientInfo: { name, version: '"><b>1</b>' },
			},
		};
		const headers = {
			'content-type': 'application/json',
			accept: 'application/json, text/event-stream',
		};
		const init = { method: 'POST', headers, body: JSON.stringify(body) };
		const response = await fetch(new URL('/mcp', server.url), init);
		await response.text();
		const home = response.headers.get('mcp-session-id')?.split('.')[0] ?? '';
		const page = await tab();
		page.on('dialog', () => expect.unreachable());
		await openInspector(page, server.url);
		await page.getByRole('radio', { name: home, exact: true }).check();

		await page.getByText(`${name} "><b>1</b>`).waitFor();
		expect(await page.locator('#sessions img, #sessions script, #sessions b').count()).toBe(0);
	});

	test('a page of another site cannot end a session, nor play', async () => {
		const page = await browser.newPage();
		onTestFinished(() => page.close());
		// The same server by another name is another site to the browser.
		const site = new URL(server.url);
		site.hostname = 'localhost';
		await page.goto(site.href);
		for (const path of ['inspector/end', 'playground/replace']) {
			const url = new URL(path, server.url).href;
			const answered = page.waitForResponse(url);
			const press = (to: string) => fetch(to, { method: 'POST', mode: 'no-cors', body: '{}' });
			await page.evaluate(press, url);
			expect((await answered).status()).toBe(403);
		}
	});

	test.each(['/', '/inspector'])(
		'%s fits a phone of 360 pixels, in dark and in light, with names for all that can be used',
		async (path) => {
			const colours: string[] = [];
			for (const colorScheme of ['light', 'dark'] as const) {
				const page = await tab({ viewport: { width: 360, height: 740 }, colorScheme });
				await page.goto(new URL(path, server.url).href);
				await page.locator('main').waitFor();
				if (path === '/') {
					const play = new Playground(page);
					await play.open('A');
					await play.press('Message to all sessions');
				} else await page.locator('body[data-loaded]').waitFor();
				const found = await page.evaluate(() => ({
					width: document.documentElement.scrollWidth,
					colour: getComputedStyle(document.body).backgroundColor,
					unnamed: [...document.querySelectorAll('button, input')].filter((of) =>
						of instanceof HTMLButtonElement
							? (of.getAttribute('aria-label') ?? of.textContent) === ''
							: of instanceof HTMLInputElement && of.labels?.length === 0,
					).length,
					landmarks: document.querySelectorAll('body > header, main').length,
				}));
				expect(found).toMatchObject({ width: 360, unnamed: 0, landmarks: 2 });
				colours.push(found.colour);
				await page.keyboard.press('Tab');
				const outline = () =>
					getComputedStyle(document.activeElement ?? document.body).outlineStyle;
				expect(await page.evaluate(outline)).toBe('solid');
			}
			expect(new Set(colours).size).toBe(2);
		},
	);
});

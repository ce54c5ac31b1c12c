import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { ROOT } from '../../examples/quickstart/demo/dev-server.ts';

const { scripts }: { scripts: { start: string } } = JSON.parse(
	readFileSync(join(ROOT, 'package.json'), 'utf8'),
);

/** What `npm start` runs. */
export const CONFIG = scripts.start.replace(/^wrangler dev --config /, '');

/** How long anything on a page may take, in milliseconds. */
export const LIMIT_MS = 10_000;

/** The playground, as a person uses it. */
export class Playground {
	readonly page: Page;

	constructor(page: Page) {
		this.page = page;
		page.setDefaultTimeout(LIMIT_MS);
	}

	press(name: string): Promise<void> {
		return this.page.getByRole('button', { name, exact: true }).click();
	}

	/** What a stream shows: `Session A`. */
	card(name: string): Locator {
		return this.page.locator('article', { has: this.page.getByRole('heading', { name }) });
	}

	async open(name: string): Promise<Locator> {
		await this.press('Open a session');
		const card = this.card(`Session ${name}`);
		await card.getByText('open', { exact: true }).waitFor();
		return card;
	}

	async listen(name: string): Promise<Locator> {
		await this.press('Listen');
		const card = this.card(`Listener ${name}`);
		await card.getByText('notifications/subscriptions/acknowledged').waitFor();
		return card;
	}

	/** Wait until a session has so many of so many messages. */
	async has(card: Locator, count: number): Promise<void> {
		await card
			.getByText(`${count} of ${count} messages, nothing lost, in order`)
			.waitFor({ timeout: LIMIT_MS });
	}
}

/** Wait until the inspector has shown its first answer. */
export async function openInspector(page: Page, url: URL): Promise<void> {
	page.setDefaultTimeout(LIMIT_MS);
	await page.goto(new URL('/inspector', url).href);
	await page.locator('body[data-loaded]').waitFor();
}

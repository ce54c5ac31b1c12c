import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Debian's package has it, unless the environment says otherwise. */
const PATH = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

export const hasChromium = existsSync(PATH);

export const NO_CHROMIUM = `SKIPPED: the tests in a browser. There is no Chromium at ${PATH}: "apt-get install chromium", or set CHROMIUM_PATH.`;

export function launchChromium(): Promise<Browser> {
	return chromium.launch({
		executablePath: PATH,
		// Chromium refuses to run as root with its sandbox, as containers do; it loads nothing but our own pages.
		args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
	});
}

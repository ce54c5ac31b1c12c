/** Only for the public entry, which names this file: everything else imports the file of its subject. */
export * from './close-codes.ts';
export * from './frames.ts';
export * from './limits.ts';
export * from './names.ts';
export * from './upgrade.ts';

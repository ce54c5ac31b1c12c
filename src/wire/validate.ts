import * as v from 'valibot';

type Validation<Output> =
	| { kind: 'valid'; output: Output }
	/** What is wrong and where, for an error text: `a.b.0: expected string, not number`. */
	| { kind: 'invalid'; issue: string };

/**
 * Check an input against a schema.
 *
 * What was given is never quoted, because it may be a session id, which is a credential. Only the first issue is told:
 * collecting all those of a large input takes many times its memory.
 */
export function validate<Schema extends v.GenericSchema>(
	schema: Schema,
	input: unknown,
): Validation<v.InferOutput<Schema>> {
	const result = v.safeParse(schema, input, { abortEarly: true, message });
	if (result.success) return { kind: 'valid', output: result.output };
	const [issue] = result.issues;
	const path = issue.path?.map(({ key }) => String(key)).join('.');
	const text = path === undefined ? issue.message : `${path}: ${issue.message}`;
	return { kind: 'invalid', issue: text.slice(0, MAX_ISSUE_CHARS) };
}

/** An unknown key is named, and may be as long as the platform carries. */
const MAX_ISSUE_CHARS = 300;

/** For issues to which the schema gives no message of its own. */
function message({ expected, received }: v.BaseIssue<unknown>): string {
	// This is how valibot says that an object has a key which its schema does not name.
	if (expected === 'never') return 'unknown key';
	if (received === 'undefined') return 'missing';
	const what = received.startsWith('"') ? 'another string' : received;
	return expected === null ? 'not valid' : `expected ${expected}, not ${what}`;
}

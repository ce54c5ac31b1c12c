import * as v from 'valibot';

export type Validation<Output> =
	| { kind: 'valid'; output: Output }
	/** `issue`: what is wrong, for an error text; `path`: where in the input, as `a.b.0`. */
	| { kind: 'invalid'; issue: string; path: string | undefined };

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
	return { kind: 'invalid', issue: issue.message, path: v.getDotPath(issue) ?? undefined };
}

/** For issues to which the schema gives no message of its own. */
function message({ expected, received }: v.BaseIssue<unknown>): string {
	// This is how valibot says that an object has a key which its schema does not name.
	if (expected === 'never') return 'unknown key';
	const what = received.startsWith('"') ? 'another string or key' : received;
	return expected === null ? `${what} is not valid` : `expected ${expected}, not ${what}`;
}

/**
 * The object's SQLite, or `undefined` for a class that was made with `new_classes`, as the existing package's README
 * has it: such a class keeps its old storage for ever, and all that needs no SQLite works there too.
 */
export function sqlOf(storage: DurableObjectStorage): SqlStorage | undefined {
	try {
		// Asking for it does not fail there; using it does.
		return storage.sql.databaseSize >= 0 ? storage.sql : undefined;
	} catch {
		return undefined;
	}
}

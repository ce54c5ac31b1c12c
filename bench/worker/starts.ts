let starts = 0;

/** Called by the constructor of each object under test: one more call means that it woke from hibernation. */
export function noteStart(): void {
	starts++;
}

/** Object and driver are in one isolate, so a module is all that they need to share a count. */
export function countStarts(): number {
	return starts;
}

/** What the Node side and the driver Worker say to one another: JSON on one WebSocket. */
import * as v from 'valibot';

const Count = v.pipe(v.number(), v.integer(), v.minValue(1));

export const CommandSchema = v.variant('kind', [
	/** Open streams of new sessions, 50 at once. */
	v.object({ kind: v.literal('attach'), count: Count }),
	/** Send, each time until everyone addressed has received it. `mixed`: 100 ids, half of them unknown. */
	v.object({
		kind: v.literal('send'),
		to: v.picklist(['all', 'one', 'half', 'mixed']),
		times: Count,
	}),
	/** Ask for sessions that have a stream. */
	v.object({ kind: v.literal('has'), times: Count }),
	/** End the oldest sessions, until their streams have ended too. */
	v.object({ kind: v.literal('delete'), count: Count, atOnce: Count }),
	/** Send events to so many of the open sessions each. */
	v.object({ kind: v.literal('fill'), events: Count, addressees: Count }),
	/** Open streams of new sessions, and let their clients go away. */
	v.object({ kind: v.literal('leave'), count: Count }),
	/** Send one event to each session whose client went away. */
	v.object({ kind: v.literal('owe') }),
	/** Let clients that went away come back, one after another, each until its event is there. */
	v.object({ kind: v.literal('get'), count: Count }),
]);

export type Command = v.InferOutput<typeof CommandSchema>;

export const ReplySchema = v.union([
	v.object({
		/** How long the command took, by the clock of the Worker, in milliseconds. */
		ms: v.number(),
		/** How often the object was constructed since the process started. */
		starts: v.number(),
	}),
	v.object({ error: v.string() }),
]);

export type Reply = v.InferOutput<typeof ReplySchema>;

/** Stands in the place of `src/worker/routing/default-homes.ts` in the project `homes`. */
export const DEFAULT_HOMES = 4;

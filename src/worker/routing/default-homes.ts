/** How many homes there are, unless told otherwise. */
export const DEFAULT_HOMES = 1;

// The pages that the program has added. This is what is served where it has added none.

export const ADDED = [];

/**
 * Loaded before the operator in benchmarks (`node --expose-gc --import …`): SIGUSR2 collects garbage, so that what is
 * really held can be told from what has not been collected yet.
 */
process.on("SIGUSR2", () => globalThis.gc?.());

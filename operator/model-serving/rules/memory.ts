import type { Rule } from "../plan.ts";

/**
 * A revision that was taken back is remembered for as long as `spec` asks for it. When `spec` asks for another,
 * the memory goes: who comes back to it later means it.
 */
export const forgetFailures: Rule = ({ target }, plan) => ({
  failedRevisions: plan.failedRevisions.filter((failed) => failed === target.name),
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { Candidate, pass, STEP, settled, type Wire } from "../../support/candidate.ts";
import { MemoryLease } from "../../support/memory-lease.ts";

/** What passes on three processes' clocks while a second passes. A lease of 15 s, left after 10 s, bears 1.5 times. */
const RATES = [1, 1.2, 0.85];
/** The first of them leads first. Each asks at its own pace. */
const processes = fc.tuple(
  fc.shuffledSubarray(RATES, { minLength: RATES.length }),
  fc.tuple(...RATES.map(() => fc.double({ min: 0, max: 1, noNaN: true }))),
);
/** Milliseconds within which one leads when all are well again: the slowest answer, a lease, a few tries. */
const RECOVERY = 45_000;

type Happening = (candidate: Candidate) => Promise<void> | void;

const delay = fc.integer({ min: 1, max: 12_000 });
const wire: fc.Arbitrary<Wire> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: fc.constant({ cut: true }) },
  { weight: 1, arbitrary: fc.record({ out: delay }) },
  { weight: 1, arbitrary: fc.record({ back: fc.oneof(delay, fc.constant(Number.POSITIVE_INFINITY)) }) },
  { weight: 1, arbitrary: fc.record({ out: delay, back: delay }) },
);

/** Named, so that a schedule that fails can be read. */
function named(name: string, happen: Happening): { happen: Happening; [fc.toStringMethod]: () => string } {
  return { happen, [fc.toStringMethod]: () => name };
}

const happening = fc.oneof(
  { weight: 2, arbitrary: fc.constant(named("freezes", (one) => one.freeze())) },
  { weight: 1, arbitrary: fc.constant(named("thaws", (one) => one.thaw())) },
  { weight: 1, arbitrary: fc.constant(named("thaws, answers first", (one) => one.thaw("answers"))) },
  { weight: 1, arbitrary: fc.constant(named("resigns", (one) => one.resign())) },
  {
    weight: 1,
    arbitrary: delay.map((by) => named(`is set back by ${by} ms`, (one) => one.clock.setBack(by))),
  },
  {
    weight: 4,
    arbitrary: wire.map((met) =>
      named(`meets ${fc.stringify(met)}`, (one) => {
        one.wire = () => met;
      }),
    ),
  },
);

const step = fc.record({
  who: fc.nat(RATES.length - 1),
  what: happening,
  milliseconds: fc.integer({ min: 0, max: 9_000 }),
});

test("the gate is never open in two processes at once, whatever freezes, is cut off, or ticks faster", async () => {
  await fc.assert(
    fc.asyncProperty(processes, fc.array(step, { maxLength: 60 }), async ([rates, randoms], steps) => {
      const lease = new MemoryLease();
      const candidates = rates.map(
        (rate, index) => new Candidate(`c${index}`, lease, { rate, random: randoms[index] as number }),
      );
      const leaders = () => candidates.filter(({ leads }) => leads).length;
      await settled();
      expect(leaders()).toBe(1);
      for (const { who, what, milliseconds } of steps) {
        await what.happen(candidates[who] as Candidate);
        expect(leaders()).toBeLessThanOrEqual(1);
        for (let passed = 0; passed < milliseconds; passed += STEP) {
          await pass(STEP, ...candidates);
          expect(leaders()).toBeLessThanOrEqual(1);
        }
      }
      for (const candidate of candidates) {
        candidate.wire = () => ({});
        await candidate.thaw();
      }
      for (let passed = 0; passed < RECOVERY; passed += STEP) {
        await pass(STEP, ...candidates);
        expect(leaders()).toBeLessThanOrEqual(1);
      }
      expect(leaders()).toBe(1);
      expect(candidates.map(({ unwanted }) => unwanted)).toEqual([0, 0, 0]);
    }),
    { numRuns: 150 },
  );
});

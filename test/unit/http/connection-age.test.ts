import fc from "fast-check";
import { expect, test } from "vitest";
import { httpConfig } from "../../../lib/config/inference.ts";
import { connectionMaxAge } from "../../../lib/http/connection-age.ts";
import { httpTimeouts } from "../../../lib/http/server-options.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("the age stays within the jitter, in whole percents", () => {
  fc.assert(
    fc.property(
      random,
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 1, max: 100_000 }),
      (r, jitter, age) => {
        const config = httpConfig.parse({
          connectionMaxAgeSeconds: age,
          connectionMaxAgeJitterPercent: jitter,
        });
        const milliseconds = connectionMaxAge(config, () => r);
        expect(milliseconds % (age * 10)).toBe(0);
        expect(milliseconds).toBeGreaterThanOrEqual(age * 10 * (100 - jitter));
        expect(milliseconds).toBeLessThanOrEqual(age * 10 * (100 + jitter));
      },
    ),
  );
  const config = httpConfig.parse({});
  expect(connectionMaxAge(config, () => 0)).toBe(270_000);
  expect(connectionMaxAge(config, () => 0.999)).toBe(330_000);
});

test("the headers time-out never exceeds the request's, which Node would refuse", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3600 }), fc.integer({ min: 1, max: 3600 }), (headers, body) => {
      const timeouts = httpTimeouts(
        httpConfig.parse({ headersTimeoutSeconds: headers, bodyTimeoutSeconds: body }),
      );
      return timeouts.headersTimeout < timeouts.requestTimeout && timeouts.requestTimeout < Infinity;
    }),
  );
});

import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take several seconds, those that take longest first. Vitest itself goes by what an earlier run took,
 * which a clean checkout has not; one long file that starts last would leave a core idle to the end. The zero-loss
 * paths keep both cores busy, so that those which mostly wait come beside them.
 */
const LONGEST = [
  "integration/zero-loss/paths",
  "integration/standalone/workloads",
  "integration/cli/parent",
  "integration/e2e/scale-to-zero",
  "integration/router/backends",
  "integration/http/http1-lifecycle",
  "integration/router/grpc",
  "integration/cli/naru",
  "integration/e2e/rollback",
  "integration/zero-loss/guards",
  "unit/model-serving/meddling",
  "unit/crds/properties",
  "integration/images/assemble",
  "integration/inference/grpc-lifecycle",
  "integration/artifacts/fetch-program",
  "integration/inference/execution",
  "integration/inference/clients",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

/** Place in the list; what is not in it comes after, in the order that it had. */
function rank({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place === -1 ? LONGEST.length : place;
}

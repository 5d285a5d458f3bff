import { routerName } from "../names.ts";
import type { ContainerProblem, ObservedPod, Workload } from "../observed.ts";
import type { Situation } from "../plan.ts";

/** Why pods do not run, as conditions tell it. */

/** Problems of serving pods, those of what spec asks for first. */
export function problemsOf({ observed, target }: Situation): readonly ContainerProblem[] {
  const pods = observed.pods.filter((pod) => pod.role !== "router" && !pod.leaving);
  const wanted = pods.filter((pod) => pod.revision === target.name);
  return [...wanted, ...pods].flatMap((pod) => pod.problems);
}

/** Why a router does not start. */
export function routersProblem({ name, observed }: Situation): string | undefined {
  const pods = observed.pods.filter((pod) => pod.role === "router" && !pod.leaving);
  const [problem] = pods.flatMap(({ problems }) => problems);
  if (problem !== undefined) return `${problem.code}: ${problem.message}`;
  const router = observed.workloads.get(routerName(name));
  return placeProblem({ pods, workloads: router === undefined ? [] : [router] });
}

function placeProblem({
  pods,
  workloads,
}: {
  pods: readonly ObservedPod[];
  workloads: Iterable<Workload>;
}): string | undefined {
  const reason = pods.find((pod) => pod.unschedulable !== undefined)?.unschedulable;
  if (reason !== undefined) return `a pod has no place: ${reason}`;
  const refused = [...workloads].find(({ podsRefused }) => podsRefused !== undefined);
  return refused === undefined
    ? undefined
    : `a pod of ${refused.name} is not admitted: ${refused.podsRefused}`;
}

/** Why any pod has no place. */
export function anyPlaceProblem({ observed }: Situation): string | undefined {
  return placeProblem({ pods: observed.pods, workloads: observed.workloads.values() });
}

/** What a rollout sees of one pod of a Deployment; pods that are ending are not among them. */
export interface RolloutPod {
  readonly name: string;
  /** Of the Deployment's present template. */
  readonly current: boolean;
  readonly ready: boolean;
  /** Ready for minReadySeconds. */
  readonly available: boolean;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

export interface RolloutSpec {
  readonly replicas: number;
  readonly strategy: "RollingUpdate" | "Recreate";
  /** A number or a percentage of the replicas. */
  readonly maxSurge: number | string;
  readonly maxUnavailable: number | string;
}

export interface RolloutPlan {
  /** Pods of the present template to add. */
  readonly create: number;
  /** Names of pods to delete. */
  readonly remove: readonly string[];
}

/** A count that is given as a number or as a percentage of the replicas. */
export function resolveAmount(
  value: number | string,
  replicas: number,
  round: (n: number) => number,
): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) * replicas) / 100);
}

/** Who goes first: not ready before ready, young before old (as ActivePods of the ReplicaSet controller). */
function byDispensability(a: RolloutPod, b: RolloutPod): number {
  return (
    Number(a.ready) - Number(b.ready) || Number(a.available) - Number(b.available) || b.created - a.created
  );
}

/**
 * The next step of a Deployment, by the rules of Kubernetes' deployment controller: never more than
 * replicas + maxSurge pods, never fewer than replicas − maxUnavailable available ones, unhealthy old pods first.
 * @param ending pods of an older template that are still ending; Recreate waits for them
 */
export function planRollout(spec: RolloutSpec, pods: readonly RolloutPod[], ending: number): RolloutPlan {
  const { replicas } = spec;
  const current = pods.filter((pod) => pod.current);
  const old = pods.filter((pod) => !pod.current);
  const surplus = [...current].sort(byDispensability).slice(0, Math.max(0, current.length - replicas));
  const remove = surplus.map(({ name }) => name);
  const missing = Math.max(0, replicas - current.length);

  if (spec.strategy === "Recreate") {
    remove.push(...old.map(({ name }) => name));
    return { create: old.length + ending > 0 ? 0 : missing, remove };
  }
  if (old.length === 0) return { create: missing, remove };

  const surge = resolveAmount(spec.maxSurge, replicas, Math.ceil);
  let unavailable = Math.min(resolveAmount(spec.maxUnavailable, replicas, Math.floor), replicas);
  // Both zero would never move.
  if (surge === 0 && unavailable === 0) unavailable = 1;
  const create = Math.min(missing, Math.max(0, replicas + surge - pods.length));

  const minAvailable = replicas - unavailable;
  const newUnavailable =
    current.filter((pod) => !pod.available).length - surplus.filter((pod) => !pod.available).length;
  const oldFirst = [...old].sort(byDispensability);
  const mayGo = Math.max(0, pods.length - surplus.length - minAvailable - newUnavailable);
  const unhealthy = oldFirst.filter((pod) => !pod.available).slice(0, mayGo);
  const available =
    pods.filter((pod) => pod.available).length - surplus.filter((pod) => pod.available).length;
  const healthy = oldFirst
    .filter((pod) => pod.available)
    .slice(0, Math.max(0, Math.min(available - minAvailable, mayGo - unhealthy.length)));
  remove.push(...unhealthy.map(({ name }) => name), ...healthy.map(({ name }) => name));
  return { create, remove };
}

import { rfc3339 } from "../engine/conditions.ts";
import type { Condition, KubeObject } from "../engine/objects.ts";
import { refOf } from "../engine/objects.ts";
import { type PodTemplate, podFrom } from "./pod-template.ts";
import { asPod, isFinished, isReady, type Pod, podKind } from "./pod-types.ts";
import type { Store } from "./store.ts";

interface JobSpec {
  template: PodTemplate;
  backoffLimit?: number;
  activeDeadlineSeconds?: number;
}

export interface JobStatus {
  startTime: string;
  completionTime?: string;
  active: number;
  ready: number;
  succeeded: number;
  failed: number;
  conditions?: Condition[];
}

export const jobKind = { apiVersion: "batch/v1", kind: "Job" } as const;

/** Jobs of one completion: a pod that fails is replaced until one succeeds or `backoffLimit` is passed. */
export class Jobs {
  readonly #store: Store;
  readonly #now: () => Date;
  readonly #backoffMilliseconds: number;
  readonly #watches: { stop(): void }[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #scheduled = false;
  #closed = false;

  constructor(store: Store, now: () => Date, backoffMilliseconds: number) {
    this.#store = store;
    this.#now = now;
    this.#backoffMilliseconds = backoffMilliseconds;
    this.#watches = [jobKind, podKind].map((kind) => store.watch(kind, () => this.#schedule()));
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const watch of this.#watches) watch.stop();
  }

  #schedule(milliseconds = 0): void {
    if (this.#closed || (milliseconds === 0 && this.#scheduled)) return;
    if (milliseconds === 0) this.#scheduled = true;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (milliseconds === 0) this.#scheduled = false;
      for (const job of this.#store.list(jobKind)) this.#sync(job);
    }, milliseconds);
    this.#timers.add(timer);
  }

  #sync(job: KubeObject): void {
    const spec = job.spec as JobSpec;
    const before = job.status as JobStatus | undefined;
    if (
      before?.conditions?.some(
        ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
      )
    )
      return;
    const now = this.#now();
    const { name, namespace = "default", uid } = job.metadata;
    const isOwn = (pod: Pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
    const pods = this.#store
      .list({ ...podKind, namespace })
      .map(asPod)
      .filter(isOwn);
    const active = pods.filter((pod) => !isFinished(pod) && pod.metadata.deletionTimestamp === undefined);
    const failed = pods.filter((pod) => pod.status?.phase === "Failed");
    const status: JobStatus = {
      startTime: before?.startTime ?? rfc3339(now),
      active: active.length,
      ready: active.filter(isReady).length,
      succeeded: pods.filter((pod) => pod.status?.phase === "Succeeded").length,
      failed: failed.length,
    };
    const finish = (type: string, reason: string, message: string) => {
      status.conditions = [{ type, status: "True", reason, message, lastTransitionTime: rfc3339(now) }];
      for (const pod of active) this.#store.delete(refOf(pod));
    };
    const age = now.getTime() - Date.parse(status.startTime);
    const deadline = (spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    if (status.succeeded > 0) {
      status.completionTime = rfc3339(now);
      finish("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
    } else if (status.failed > (spec.backoffLimit ?? 6)) {
      finish("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    } else if (age > deadline) {
      finish("Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
    } else if (active.length === 0) {
      const wait = failed.length === 0 ? 0 : this.#backoffMilliseconds * 2 ** (failed.length - 1);
      const ended = Math.max(0, ...failed.map(endOf));
      if (now.getTime() - ended >= wait) {
        this.#store.create(
          podFrom(job, spec.template, name, { "batch.kubernetes.io/job-name": name, "job-name": name }),
        );
      } else this.#schedule(ended + wait - now.getTime());
    } else if (Number.isFinite(deadline)) this.#schedule(Math.max(1, Math.min(deadline - age + 1, 60_000)));
    this.#store.update(refOf(job), (draft) => {
      draft.status = status;
    });
  }
}

function endOf(pod: Pod): number {
  const ends = pod.status?.containerStatuses.map(({ state }) =>
    Date.parse(state.terminated?.finishedAt ?? ""),
  );
  return Math.max(0, ...(ends ?? []).filter(Number.isFinite));
}

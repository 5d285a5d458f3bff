import type { Clock } from "../../operator/engine/clock.ts";
import { Controller, type ControllerOptions } from "../../operator/engine/controller.ts";
import type { ControlledKind, Decision } from "../../operator/engine/kind.ts";
import type { Log } from "../../operator/engine/log.ts";
import { type KubeObject, type ObjectRef, ownerReferenceTo } from "../../operator/engine/objects.ts";
import { FakeClock } from "./fake-clock.ts";
import { MemoryCluster } from "./memory-cluster.ts";

/** A small kind for tests of the engine: a Widget has a ConfigMap for each name in `spec.children`. */
export const WIDGET = { apiVersion: "test.naru.dev/v1", kind: "Widget" } as const;
export const CONFIG_MAP = { apiVersion: "v1", kind: "ConfigMap" } as const;
export const SECRET = { apiVersion: "v1", kind: "Secret" } as const;
export const POD = { apiVersion: "v1", kind: "Pod" } as const;
export const CONTROLLER_REVISION = { apiVersion: "apps/v1", kind: "ControllerRevision" } as const;

export function widget(
  name: string,
  spec: Readonly<Record<string, unknown>> = { children: ["a"] },
): KubeObject {
  return { ...WIDGET, metadata: { name, namespace: "default" }, spec };
}

export function widgetRef(name: string): ObjectRef {
  return { ...WIDGET, namespace: "default", name };
}

export function configMapRef(name: string): ObjectRef {
  return { ...CONFIG_MAP, namespace: "default", name };
}

export function configMapOf(owner: KubeObject, name: string, data: Record<string, string> = {}): KubeObject {
  const metadata = {
    name: `${owner.metadata.name}-${name}`,
    namespace: "default",
    ownerReferences: [ownerReferenceTo(owner)],
  };
  return { ...CONFIG_MAP, metadata, data };
}

export function specOf<T>(object: KubeObject): T {
  return object.spec as T;
}

/** What Widgets want unless a test says otherwise. */
export function decideWidget(resource: KubeObject): Decision {
  const { children = [], value = "1" } = specOf<{ children?: string[]; value?: string }>(resource);
  return {
    children: children.map((name) => configMapOf(resource, name, { value })),
    status: { observedGeneration: resource.metadata.generation },
    events: [],
  };
}

export function widgetKind(overrides: Partial<ControlledKind<unknown>> = {}): ControlledKind<unknown> {
  return {
    kind: WIDGET,
    owns: [CONFIG_MAP, SECRET, CONTROLLER_REVISION],
    reads: [
      {
        kind: POD,
        keyOf: (pod) => {
          const name = pod.metadata.labels?.widget;
          return name === undefined ? undefined : { namespace: pod.metadata.namespace ?? "", name };
        },
      },
    ],
    observe: async () => undefined,
    decide: decideWidget,
    ...overrides,
  };
}

export function memoryCluster(): MemoryCluster {
  return new MemoryCluster([WIDGET, CONFIG_MAP, SECRET, POD, CONTROLLER_REVISION]);
}

/** What was logged, by level. */
export class MemoryLog implements Log {
  readonly lines: { level: string; fields: object; message: string }[] = [];
  debug = (fields: object, message: string) => void this.lines.push({ level: "debug", fields, message });
  info = (fields: object, message: string) => void this.lines.push({ level: "info", fields, message });
  warn = (fields: object, message: string) => void this.lines.push({ level: "warn", fields, message });
  error = (fields: object, message: string) => void this.lines.push({ level: "error", fields, message });
}

/** Lets everything run that waits for no clock. In memory, nothing else is waited for. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export interface Engine {
  readonly cluster: MemoryCluster;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly controller: Controller<unknown>;
  /** Moves the clock in small steps, letting everything run at each. */
  advance(milliseconds: number): Promise<void>;
}

/** A started controller of Widgets, on a memory cluster and a clock that stands still. */
export async function startWidgets(
  options: Partial<Omit<ControllerOptions<unknown>, "clock" | "cluster">> & {
    cluster?: MemoryCluster;
    clock?: FakeClock & Clock;
  } = {},
): Promise<Engine> {
  const cluster = options.cluster ?? memoryCluster();
  const clock = options.clock ?? new FakeClock();
  const log = new MemoryLog();
  const controller = new Controller<unknown>({ kind: widgetKind(), log, ...options, cluster, clock });
  await controller.start();
  const advance = async (milliseconds: number): Promise<void> => {
    const step = Math.max(milliseconds / 20, 1);
    for (let moved = 0; moved < milliseconds; moved += step) {
      clock.advance(Math.min(step, milliseconds - moved));
      await settled();
    }
  };
  await settled();
  return { cluster, clock, log, controller, advance };
}

/** The writes since the list was last cleared, as `verb kind name`. */
export function writesOf(cluster: MemoryCluster): string[] {
  return cluster.requests.map(({ verb, ref }) => `${verb} ${ref.kind} ${ref.name}`);
}

import type { KubeObject } from "../engine/objects.ts";
import { refOf } from "../engine/objects.ts";
import { type Endpoint, TcpBalancer } from "./balancer.ts";
import { asPod, isReady, type Pod, podKind } from "./pod-types.ts";
import { declaredPortsAnnotation } from "./pods.ts";
import { type PortPool, preferredServicePort } from "./ports.ts";
import type { Store } from "./store.ts";
import { writeAtomically } from "./volumes.ts";

interface ServicePort {
  name?: string;
  port: number;
  targetPort?: number | string;
}

interface ServiceSpec {
  selector?: Record<string, string>;
  ports?: ServicePort[];
  clusterIP?: string;
  publishNotReadyAddresses?: boolean;
}

/** Where one port of a Service is reached. */
export interface ServiceAddress {
  readonly namespace: string;
  readonly service: string;
  readonly portName: string;
  readonly port: number;
  /** On 127.0.0.1. */
  readonly localPort: number;
}

interface Open {
  readonly balancer: TcpBalancer;
  readonly address: ServiceAddress;
}

export interface ServicesOptions {
  store: Store;
  ports: PortPool;
  /** JSON of `name.namespace.svc:port` → `127.0.0.1:port`: what the processes have in place of DNS. */
  hostsFile: string;
  log(level: "info" | "warn" | "error", message: string): void;
}

export const serviceKind = { apiVersion: "v1", kind: "Service" } as const;
const quietMilliseconds = 500;

function specOf(service: KubeObject): ServiceSpec {
  return service.spec ?? {};
}

/** The pods that a Service's selector finds. */
export function podsOf(service: KubeObject, store: Store): Pod[] {
  const { selector } = specOf(service);
  if (selector === undefined || Object.keys(selector).length === 0) return [];
  const namespace = service.metadata.namespace ?? "default";
  return store.list({ ...podKind, namespace, labels: selector }).map(asPod);
}

function endpointsOf(service: KubeObject, port: ServicePort, store: Store): Endpoint[] {
  const target = port.targetPort ?? port.port;
  const all = specOf(service).publishNotReadyAddresses === true;
  return podsOf(service, store)
    .filter((pod) => (all ? pod.metadata.deletionTimestamp === undefined : isReady(pod)))
    .flatMap((pod) => {
      const declared = JSON.parse(pod.metadata.annotations?.[declaredPortsAnnotation] ?? "{}") as Record<
        string,
        number
      >;
      const named = pod.spec.containers
        .flatMap((container) => container.ports ?? [])
        .find(({ name }) => name === target);
      const found = typeof target === "number" ? declared[target] : named?.containerPort;
      return found === undefined ? [] : [{ host: "127.0.0.1", port: found }];
    });
}

/**
 * Where a Service without a ready pod is for programs that find it by the hosts file. In a cluster such a connection
 * is refused, and who asks knows that nothing was sent; a balancer can only cut it, and has to keep its port, which
 * another program would take. Nothing listens on tcpmux.
 */
const REFUSES = "127.0.0.1:1";

/** Keeps one balancer a Service port open, its endpoints those of the ready pods, and the hosts file true. */
export class Services {
  readonly #options: ServicesOptions;
  readonly #open = new Map<string, Open>();
  /** Of Services that are gone, with connections that are not. */
  readonly #retired = new Set<TcpBalancer>();
  readonly #watches: { stop(): void }[];
  #pending: Promise<void> = Promise.resolve();
  #closed = false;
  #hosts = "";

  constructor(options: ServicesOptions) {
    this.#options = options;
    const { store } = options;
    this.#watches = [
      store.watch(serviceKind, () => this.#schedule()),
      // At once, in the same turn: a pod that ends has left every balancer before anything else happens to it.
      store.watch(podKind, () => this.#refreshEndpoints()),
    ];
  }

  addresses(): ServiceAddress[] {
    return [...this.#open.values()].map(({ address }) => address);
  }

  /** Resolves when every Service stored so far has its ports. */
  async settled(): Promise<void> {
    await Promise.resolve();
    await this.#pending;
  }

  /** Cuts connections that are only kept alive, so that servers that drain see their clients leave. */
  closeQuiet(): void {
    for (const balancer of this.#balancers()) balancer.closeQuiet(quietMilliseconds);
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.stop();
    this.#closed = true;
    await this.#pending;
    for (const balancer of this.#balancers()) balancer.close();
  }

  #balancers(): TcpBalancer[] {
    return [...[...this.#open.values()].map(({ balancer }) => balancer), ...this.#retired];
  }

  #schedule(): void {
    this.#pending = this.#pending
      .then(() => this.#sync())
      .catch((error: Error) => this.#options.log("error", `services: ${error.message}`));
  }

  async #sync(): Promise<void> {
    if (this.#closed) return;
    const wanted = new Set<string>();
    for (const service of this.#options.store.list(serviceKind)) {
      const spec = specOf(service);
      if (spec.clusterIP === "None") continue;
      for (const port of spec.ports ?? []) {
        const key = `${service.metadata.name}.${service.metadata.namespace}.svc:${port.port}`;
        wanted.add(key);
        if (!this.#open.has(key)) await this.#openPort(key, service, port);
      }
      this.#publish(service);
    }
    for (const [key, { balancer, address }] of this.#open) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      this.#retired.add(balancer);
      void balancer.retire().then(() => this.#retired.delete(balancer));
      this.#options.ports.release(address.localPort);
    }
    this.#refreshEndpoints();
    await this.#writeHosts();
  }

  async #writeHosts(): Promise<void> {
    const hosts = [...this.#open].map(([key, { balancer, address }]) => [
      key,
      balancer.empty ? REFUSES : `127.0.0.1:${address.localPort}`,
    ]);
    const text = `${JSON.stringify(Object.fromEntries(hosts), null, 2)}\n`;
    if (text === this.#hosts) return;
    await writeAtomically(this.#options.hostsFile, text);
    this.#hosts = text;
  }

  async #openPort(key: string, service: KubeObject, port: ServicePort): Promise<void> {
    const { ports, log } = this.#options;
    const { name, namespace = "default" } = service.metadata;
    const index = specOf(service).ports?.findIndex((candidate) => candidate.port === port.port) ?? 0;
    const before = publishedPorts(service)[index];
    const preferred = before ?? preferredServicePort(key);
    for (let ask = preferred; ; ask += 1) {
      const localPort = await ports.forService(ask);
      const balancer = new TcpBalancer();
      try {
        await balancer.listen(localPort);
      } catch (error) {
        ports.release(localPort);
        if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
        throw error;
      }
      if (localPort !== preferred) {
        log(
          "warn",
          `port ${preferred} of service ${name} is taken by another program; it answers on ${localPort} instead`,
        );
      }
      const address = { namespace, service: name, portName: port.name ?? "", port: port.port, localPort };
      this.#open.set(key, { balancer, address });
      return;
    }
  }

  /** The local ports, where Kubernetes too says how a Service is reached from outside; they survive a restart there. */
  #publish(service: KubeObject): void {
    const localPorts = (specOf(service).ports ?? []).map(({ port }) => {
      const open = this.#open.get(`${service.metadata.name}.${service.metadata.namespace}.svc:${port}`);
      return { port: open?.address.localPort ?? 0, protocol: "TCP" };
    });
    this.#options.store.update(refOf(service), (draft) => {
      draft.status = { loadBalancer: { ingress: [{ ip: "127.0.0.1", ports: localPorts }] } };
    });
  }

  #refreshEndpoints(): void {
    const { store, log } = this.#options;
    let changed = false;
    for (const service of store.list(serviceKind)) {
      for (const port of specOf(service).ports ?? []) {
        const key = `${service.metadata.name}.${service.metadata.namespace}.svc:${port.port}`;
        const balancer = this.#open.get(key)?.balancer;
        if (balancer === undefined) continue;
        const before = balancer.empty;
        balancer.setEndpoints(endpointsOf(service, port, store));
        changed ||= before !== balancer.empty;
      }
    }
    if (!changed || this.#closed) return;
    this.#pending = this.#pending
      .then(() => this.#writeHosts())
      .catch((error: Error) => log("error", `services: ${error.message}`));
  }
}

function publishedPorts(service: KubeObject): number[] {
  const status = service.status as
    | { loadBalancer?: { ingress?: { ports?: { port: number }[] }[] } }
    | undefined;
  return status?.loadBalancer?.ingress?.[0]?.ports?.map(({ port }) => port) ?? [];
}

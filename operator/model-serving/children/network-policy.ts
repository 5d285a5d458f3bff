import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import { SERVING_LABEL, selectorOf } from "../labels.ts";
import type { Situation } from "../plan.ts";
import { RUNTIME_PORTS } from "../pod/runtime-container.ts";
import { child } from "./child.ts";

/** The label that every namespace has. */
const NAMESPACE_LABEL = "kubernetes.io/metadata.name";

/**
 * Who may connect to the resource's pods: clients to the serving ports, the operator and Prometheus to the admin
 * port. Probes of the kubelet are always let in. That anybody reaches the admin port where no namespace is named for
 * metrics, or where the network knows no policies, does no harm: it holds no secret, and is told only by who signs.
 */
export function networkPolicy(situation: Situation): KubeObject {
  const { name, spec, observed } = situation;
  const { allowFromNamespaces, metricsFromNamespaces } = spec.networkPolicy ?? {};
  const serving = servingPorts(spec);
  const metrics = metricsPorts(spec);
  const clients = namespaces(allowFromNamespaces);
  const scrapers = namespaces(metricsFromNamespaces);
  const object: NetworkPolicy & { metadata: { name: string } } = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec: {
      podSelector: { matchLabels: { [SERVING_LABEL]: name } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          ports: serving,
          ...(clients === undefined
            ? {}
            : { from: [...clients, { podSelector: { matchLabels: selectorOf(name, "router") } }] }),
        },
        {
          ports: metrics,
          ...(scrapers === undefined ? {} : { from: scrapers }),
        },
        {
          ports: [{ port: RUNTIME_PORTS.admin, protocol: "TCP" }],
          from: namespaces([observed.settings.namespace]) ?? [],
        },
      ],
    },
  };
  return child(situation, object);
}

function namespaces(names: readonly string[] | undefined): NetworkPolicyPeer[] | undefined {
  if (names === undefined || names.length === 0) return undefined;
  return [
    {
      namespaceSelector: { matchExpressions: [{ key: NAMESPACE_LABEL, operator: "In", values: [...names] }] },
    },
  ];
}

/** The user's own servers: the one, or those of a graph's nodes. */
function containersOf(spec: Situation["spec"]) {
  return [spec.container, ...(spec.graph?.nodes ?? []).map((node) => node.container)];
}

function servingPorts(spec: Situation["spec"]): NetworkPolicyPort[] {
  const declared = containersOf(spec).flatMap((container) => [container?.httpPort, container?.grpcPort]);
  return ports([RUNTIME_PORTS.http, RUNTIME_PORTS.grpc, ...declared]);
}

function metricsPorts(spec: Situation["spec"]): NetworkPolicyPort[] {
  return ports([RUNTIME_PORTS.admin, ...containersOf(spec).map((container) => container?.metrics?.port)]);
}

function ports(numbers: readonly (number | undefined)[]): NetworkPolicyPort[] {
  return [...new Set(numbers)]
    .filter((number) => number !== undefined)
    .map((port) => ({ port, protocol: "TCP" }));
}

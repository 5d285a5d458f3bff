import type { KubeObject } from "../../../operator/engine/objects.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { madeBy } from "../../support/made-by.ts";

interface Template {
  metadata: { labels: Record<string, string> };
  spec: Record<string, unknown>;
}

/**
 * Does to a Deployment what its controller and a kubelet would, on a cluster that has neither: one pod of its template,
 * ready, at 127.0.0.1. `adminPort` is where something of the test listens in place of a router's admin port.
 */
export async function runPod(server: ApiServer, deployment: KubeObject, adminPort?: number): Promise<void> {
  const { name, namespace = "", generation } = deployment.metadata;
  const { template } = deployment.spec as { template: Template };
  const containers = (template.spec.containers as { ports?: { name?: string }[] }[]).map((container) => ({
    ...container,
    ports: (container.ports ?? []).map((port) =>
      port.name === "admin" && adminPort !== undefined ? { ...port, containerPort: adminPort } : port,
    ),
  }));
  const pod = await server.request("POST", `/api/v1/namespaces/${namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${name}-0`, ...madeBy(name, template.metadata.labels) },
    spec: { ...template.spec, containers },
  });
  if (pod.status !== 201) throw new Error(`pod of ${name}: ${String(pod.body.message)}`);
  const now = new Date().toISOString();
  await write(server, `/api/v1/namespaces/${namespace}/pods/${name}-0/status`, {
    phase: "Running",
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    conditions: ["PodScheduled", "Ready"].map((type) => ({ type, status: "True", lastTransitionTime: now })),
  });
  await write(server, `/apis/apps/v1/namespaces/${namespace}/deployments/${name}/status`, {
    observedGeneration: generation,
    replicas: 1,
    updatedReplicas: 1,
    readyReplicas: 1,
    availableReplicas: 1,
  });
}

async function write(server: ApiServer, path: string, status: object): Promise<void> {
  const answer = await server.request("PATCH", path, { status }, "application/merge-patch+json");
  if (answer.status !== 200) throw new Error(`${path}: ${String(answer.body.message)}`);
}

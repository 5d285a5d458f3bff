import { ClusterError } from "../engine/cluster.ts";
import type { KubeObject, ObjectKind } from "../engine/objects.ts";
import { isObject } from "./fields.ts";

/**
 * The fence: what standalone runs, what it only stores, and nothing else. A kind or a field that is in neither
 * list is refused by name, so that nothing is silently left out of what a resource asks for.
 */

/**
 * "run": acted on, or nothing to do on a laptop. "stored": kept and shown as not applied. A table: look inside
 * (a list: into each item).
 */
type Support = "run" | "stored" | Table;
interface Table {
  readonly [field: string]: Support;
}

function fields(support: Support, names: string): Table {
  return Object.fromEntries(names.split(" ").map((name) => [name, support]));
}

const probe: Table = {
  httpGet: { ...fields("run", "path port scheme httpHeaders"), host: "stored" },
  tcpSocket: fields("run", "port"),
  grpc: fields("run", "port service"),
  ...fields("run", "initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold"),
  terminationGracePeriodSeconds: "run",
};
const valueFrom: Table = {
  fieldRef: fields("run", "apiVersion fieldPath"),
  ...fields(fields("run", "name key optional"), "secretKeyRef configMapKeyRef"),
};
const container: Table = {
  ...fields("run", "name image args terminationMessagePath terminationMessagePolicy imagePullPolicy"),
  env: { ...fields("run", "name value"), valueFrom },
  ports: fields("run", "name containerPort protocol"),
  volumeMounts: { ...fields("run", "name mountPath subPath"), readOnly: "stored" },
  ...fields(probe, "startupProbe readinessProbe livenessProbe"),
  lifecycle: { preStop: { sleep: fields("run", "seconds") } },
  ...fields("stored", "resources securityContext"),
};
const source: Table = {
  items: { ...fields("run", "key path"), mode: "stored" },
  ...fields("run", "name secretName optional defaultMode"),
};
const podSpec: Table = {
  ...fields(container, "containers initContainers"),
  volumes: {
    name: "run",
    emptyDir: fields("stored", "sizeLimit medium"),
    ...fields(source, "configMap secret"),
    projected: { defaultMode: "run", sources: fields(source, "configMap secret") },
    persistentVolumeClaim: { claimName: "run", readOnly: "stored" },
  },
  ...fields("run", "restartPolicy terminationGracePeriodSeconds"),
  ...fields("run", "automountServiceAccountToken enableServiceLinks imagePullSecrets"),
  ...fields("stored", "activeDeadlineSeconds affinity nodeSelector priorityClassName runtimeClassName"),
  ...fields(
    "stored",
    "schedulerName securityContext serviceAccountName tolerations topologySpreadConstraints",
  ),
};
const template: Table = { metadata: "run", spec: podSpec };

const specs: Readonly<Record<string, Table>> = {
  "apps/v1/Deployment": {
    template,
    ...fields("run", "replicas minReadySeconds progressDeadlineSeconds revisionHistoryLimit"),
    selector: fields("run", "matchLabels"),
    strategy: { type: "run", rollingUpdate: fields("run", "maxSurge maxUnavailable") },
  },
  "batch/v1/Job": {
    template,
    ...fields("run", "backoffLimit activeDeadlineSeconds"),
    ...fields("stored", "completions parallelism ttlSecondsAfterFinished"),
  },
  "v1/Service": {
    ports: fields("run", "name port targetPort protocol appProtocol"),
    ...fields("run", "selector clusterIP type publishNotReadyAddresses"),
    ...fields("stored", "internalTrafficPolicy sessionAffinity trafficDistribution ipFamilyPolicy"),
  },
};

/** Kept as data that other objects read. */
const data = [
  "v1/ConfigMap",
  "v1/Secret",
  "v1/ServiceAccount",
  "v1/PersistentVolumeClaim",
  "v1/Event",
  "v1/Pod",
  "apps/v1/ControllerRevision",
];

/** Kept so that a decision stays whole, and named as not applied: a laptop has nothing that would act on them. */
const notApplied = [
  "autoscaling/v2/HorizontalPodAutoscaler",
  "policy/v1/PodDisruptionBudget",
  "networking.k8s.io/v1/NetworkPolicy",
  "keda.sh/v1alpha1/ScaledObject",
  "monitoring.coreos.com/v1/ServiceMonitor",
  "gateway.networking.k8s.io/v1/HTTPRoute",
  "gateway.networking.k8s.io/v1/GRPCRoute",
];

const knownKinds = new Set([...Object.keys(specs), ...data, ...notApplied]);

function nameOf(kind: ObjectKind): string {
  return `${kind.apiVersion}/${kind.kind}`;
}

/** Whether standalone stores the kind, beside the resources that are read from files. */
export function isKnownKind(kind: ObjectKind): boolean {
  return knownKinds.has(nameOf(kind));
}

function invalid(message: string): ClusterError {
  return new ClusterError("Invalid", message);
}

function walk(value: unknown, support: Support, path: string, stored: string[]): void {
  if (support === "run" || value === undefined || value === null) return;
  if (support === "stored") {
    stored.push(path);
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const name = isObject(item) && typeof item.name === "string" ? item.name : String(index);
      walk(item, support, `${path}[${name}]`, stored);
    }
    return;
  }
  if (!isObject(value)) return;
  for (const [field, child] of Object.entries(value)) {
    const inner = Object.hasOwn(support, field) ? support[field] : undefined;
    if (inner === undefined) {
      throw invalid(
        `${path}.${field}: standalone does not run this field; remove it, or use a Kubernetes cluster`,
      );
    }
    walk(child, inner, `${path}.${field}`, stored);
  }
}

const pathSegment = /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/;

/** Names that become files and folders; a key may also begin with dots, as long as it is no way up. */
function checkNames(spec: unknown, path: string): void {
  const check = (name: unknown, where: string) => {
    if (typeof name !== "string" || !pathSegment.test(name))
      throw invalid(`${where}: "${String(name)}" is not a name`);
  };
  for (const field of ["containers", "initContainers", "volumes"]) {
    for (const item of listOf(spec, field)) check(item.name, `${path}.${field}.name`);
  }
  for (const volume of listOf(spec, "volumes")) {
    const claim = isObject(volume.persistentVolumeClaim) ? volume.persistentVolumeClaim.claimName : undefined;
    if (claim !== undefined)
      check(claim, `${path}.volumes[${String(volume.name)}].persistentVolumeClaim.claimName`);
  }
}

/** The program that an image stands for, as a file for Node, or undefined where standalone has none. */
export type Images = (image: string) => string | undefined;

/**
 * @returns paths of fields that are stored and not acted on.
 * @throws ClusterError NotServed for an unknown kind, Invalid for an unknown field or an image it can't run.
 */
export function checkSupported(object: KubeObject, images: Images): string[] {
  const kind = nameOf(object);
  if (!knownKinds.has(kind)) throw new ClusterError("NotServed", `standalone does not know the kind ${kind}`);
  if (notApplied.includes(kind)) return [object.kind];
  const support = specs[kind];
  const stored: string[] = [];
  if (support === undefined) return stored;
  const pod = isObject(object.spec) && isObject(object.spec.template) ? object.spec.template.spec : undefined;
  if (isObject(pod)) checkImages(pod, images);
  walk(object.spec, support, "spec", stored);
  checkNames(pod, "spec.template.spec");
  return stored;
}

function checkImages(pod: Record<string, unknown>, images: Images): void {
  for (const container of [...listOf(pod, "initContainers"), ...listOf(pod, "containers")]) {
    if (images(String(container.image)) !== undefined) continue;
    throw invalid(
      `container ${String(container.name)}: image ${String(container.image)} is a container, and standalone runs only Naru's own runtimes as processes; use a Kubernetes cluster for it`,
    );
  }
}

function listOf(holder: unknown, field: string): Record<string, unknown>[] {
  const value = isObject(holder) ? holder[field] : undefined;
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** What of a stored object standalone does not act on; for `naru describe`. */
export function notAppliedIn(object: KubeObject): string[] {
  return isKnownKind(object) ? checkSupported(object, () => "") : [];
}

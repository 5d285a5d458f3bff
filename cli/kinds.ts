import type { KindDefinition } from "../crds/manifest.ts";
import { modelServingDefinition } from "../crds/model-serving/definition.ts";
import { NaruError } from "../lib/errors.ts";
import type { KubeObject, ObjectKind } from "../operator/engine/objects.ts";

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  /** Shown in place of the value for an object that is being deleted. */
  readonly whileDeleted?: string;
  /** 1: shown by `-o wide` only. */
  readonly priority?: number;
}

export interface KnownKind extends ObjectKind {
  readonly plural: string;
  /** Singular, short names: what may stand in its place on a command line. */
  readonly aliases: readonly string[];
  readonly columns: readonly Column[];
}

const age: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };
const column = (name: string, jsonPath: string, type = "string"): Column => ({ name, type, jsonPath });

/** Kinds of Naru's own first, then what is made for them, each with kubectl's columns where it has some. */
export const kinds: readonly KnownKind[] = [
  ofDefinition(modelServingDefinition),
  {
    apiVersion: "v1",
    kind: "Pod",
    plural: "pods",
    aliases: ["pod", "po"],
    columns: [
      column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
      // kubectl's word: a pod on its way out keeps the phase Running.
      { ...column("Status", ".status.phase"), whileDeleted: "Terminating" },
      column("Restarts", ".status.containerStatuses[0].restartCount", "integer"),
      column("Revision", ".metadata.labels.naru\\.dev/revision"),
      age,
      { ...column("IP", ".status.podIP"), priority: 1 },
    ],
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    aliases: ["deployment", "deploy"],
    columns: [
      column("Ready", ".status.readyReplicas", "integer"),
      column("Desired", ".spec.replicas", "integer"),
      column("Up-to-date", ".status.updatedReplicas", "integer"),
      column("Available", ".status.availableReplicas", "integer"),
      age,
    ],
  },
  plain("v1", "Service", "services", ["svc"]),
  plain("v1", "ConfigMap", "configmaps", ["cm"]),
  plain("v1", "Secret", "secrets", []),
  plain("v1", "ServiceAccount", "serviceaccounts", ["sa"]),
  {
    apiVersion: "v1",
    kind: "Event",
    plural: "events",
    aliases: ["event", "ev"],
    columns: [
      column("Last seen", ".lastTimestamp", "date"),
      column("Type", ".type"),
      column("Reason", ".reason"),
      column("Object", ".involvedObject.name"),
      column("Message", ".message"),
    ],
  },
  {
    ...plain("apps/v1", "ControllerRevision", "controllerrevisions", []),
    columns: [column("Revision", ".revision", "integer"), age],
  },
  plain("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", ["pdb"]),
  plain("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", ["hpa"]),
  plain("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", ["netpol"]),
];

function ofDefinition(definition: KindDefinition): KnownKind {
  const { group, version, kind, plural, singular, shortNames, columns } = definition;
  return {
    apiVersion: `${group}/${version}`,
    kind,
    plural,
    aliases: [singular, ...shortNames],
    columns,
  };
}

function plain(apiVersion: string, kind: string, plural: string, shortNames: readonly string[]): KnownKind {
  return { apiVersion, kind, plural, aliases: [kind.toLowerCase(), ...shortNames], columns: [age] };
}

/**
 * The kind that a word on a command line means: plural, singular or short name, in any case.
 * @throws NaruError UnknownKind
 */
export function kindNamed(word: string): KnownKind {
  const name = word.toLowerCase();
  const found = kinds.find(({ plural, aliases }) => plural === name || aliases.includes(name));
  if (found !== undefined) return found;
  throw new NaruError({
    code: "UnknownKind",
    message: `there is no kind "${word}"`,
    remedy: `a resource of that name is modelserving/${word}; kinds are ${kinds.map(({ plural }) => plural).join(", ")}`,
    status: 400,
  });
}

/** `modelserving/digits`, as `-o name` prints it. */
export function shortRef(object: KubeObject): string {
  return `${object.kind.toLowerCase()}/${object.metadata.name}`;
}

/**
 * What `KIND NAME`, `KIND/NAME` and `NAME` mean; `fallback` is the kind of a bare name.
 * @throws NaruError UnknownKind, Usage
 */
export function targetOf(words: readonly string[], fallback: string): { kind: KnownKind; name?: string } {
  const [first = fallback, second, ...more] = words;
  if (more.length > 0) throw usage(`unexpected "${more[0]}"`, "name one resource at a time");
  if (first.includes("/")) {
    const [kind = "", name = "", ...rest] = first.split("/");
    if (second !== undefined || rest.length > 0 || name === "") {
      throw usage(`"${words.join(" ")}" names no resource`, "write KIND NAME or KIND/NAME");
    }
    return { kind: kindNamed(kind), name };
  }
  return { kind: kindNamed(first), ...(second === undefined ? {} : { name: second }) };
}

export function usage(message: string, remedy: string): NaruError {
  return new NaruError({ code: "Usage", message, remedy, status: 400 });
}

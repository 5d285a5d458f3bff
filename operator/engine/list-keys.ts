/**
 * How an API server tells the items of a list apart (`x-kubernetes-list-map-keys`), by the list's field name, for the
 * kinds that Naru applies. Lists that are not here are atomic: whoever applies one owns all of it.
 */
const LIST_KEYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  containers: [["name"]],
  initContainers: [["name"]],
  env: [["name"]],
  volumes: [["name"]],
  volumeMounts: [["mountPath"]],
  volumeDevices: [["devicePath"]],
  imagePullSecrets: [["name"]],
  secrets: [["name"]],
  hostAliases: [["ip"]],
  resourceClaims: [["name"]],
  claims: [["name"]],
  topologySpreadConstraints: [["topologyKey", "whenUnsatisfiable"]],
  // A container's ports, then a Service's.
  ports: [
    ["containerPort", "protocol"],
    ["port", "protocol"],
  ],
  ownerReferences: [["uid"]],
};

/** What the server fills in before it compares keys. */
const KEY_DEFAULTS: Readonly<Record<string, string>> = { protocol: "TCP" };

/**
 * The key of each item of the list at `field`, in order; undefined if the list is atomic, or its items don't have
 * distinct keys.
 */
export function itemKeys(field: string, items: readonly unknown[]): readonly string[] | undefined {
  for (const names of LIST_KEYS[field] ?? []) {
    const keys = items.map((item) => keyBy(names, item));
    if (keys.every((key) => key !== undefined) && new Set(keys).size === keys.length) return keys;
  }
  return undefined;
}

function keyBy(names: readonly string[], item: unknown): string | undefined {
  if (item === null || typeof item !== "object") return undefined;
  const fields = item as Readonly<Record<string, unknown>>;
  const values = names.map((name) => fields[name] ?? KEY_DEFAULTS[name]);
  return values.includes(undefined) ? undefined : JSON.stringify(values);
}

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

/** Up to this many keys are compared with each other; a set of so few costs more. */
const FEW = 12;

/**
 * The key of each item of the list at `field`, in order; undefined if the list is atomic, or its items don't have
 * distinct keys.
 */
export function itemKeys(field: string, items: readonly unknown[]): readonly string[] | undefined {
  const rules = LIST_KEYS[field];
  if (rules === undefined) return undefined;
  for (const names of rules) {
    const keys = distinctKeys(names, items);
    if (keys !== undefined) return keys;
  }
  return undefined;
}

/** Whether a keyed list would take both for the same item; true in a list that has no keys. */
export function sameItem(field: string, a: unknown, b: unknown): boolean {
  const rules = LIST_KEYS[field];
  if (rules === undefined) return true;
  if (!isObject(a) || !isObject(b)) return a === b;
  return rules.every((names) => names.every((name) => keyField(a, name) === keyField(b, name)));
}

function distinctKeys(names: readonly string[], items: readonly unknown[]): string[] | undefined {
  const keys: string[] = [];
  for (const item of items) {
    const key = isObject(item) ? keyBy(names, item) : undefined;
    if (key === undefined || (keys.length < FEW && keys.includes(key))) return undefined;
    keys.push(key);
  }
  return keys.length <= FEW || new Set(keys).size === keys.length ? keys : undefined;
}

function keyBy(names: readonly string[], item: Fields): string | undefined {
  let key = "";
  for (const name of names) {
    const value = keyField(item, name);
    if (value === undefined) return undefined;
    key += `${key === "" ? "[" : ","}${JSON.stringify(value)}`;
  }
  return `${key}]`;
}

function keyField(item: Fields, name: string): unknown {
  return item[name] ?? KEY_DEFAULTS[name];
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return value !== null && typeof value === "object";
}

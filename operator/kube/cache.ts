import type { ListQuery, WatchEvent } from "../engine/cluster.ts";
import type { KubeObject } from "../engine/objects.ts";
import { sharedWith } from "./shared.ts";

export interface CacheOptions {
  /** What of an object is kept: what decisions read, and no more. */
  keep: (object: KubeObject) => KubeObject;
  /** A label by whose value objects of one namespace are found without looking at all of them. */
  index?: string;
  /** Told of what a handler threw. */
  onHandlerError: (thrown: unknown) => void;
}

interface Watcher {
  readonly query: ListQuery;
  readonly onChange: (event: WatchEvent) => void;
}

/** The objects of one kind as last seen, and those who want to hear of changes. */
export class KindCache {
  readonly #options: CacheOptions;
  readonly #byNamespace = new Map<string, Map<string, KubeObject>>();
  /** Names, by namespace and value of the indexed label. */
  readonly #byLabel = new Map<string, Set<string>>();
  readonly #watchers = new Set<Watcher>();
  #latest: KubeObject | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#byNamespace.get(namespace)?.get(name);
  }

  /** By namespace, then name. */
  list(query: Omit<ListQuery, "apiVersion" | "kind">): KubeObject[] {
    return this.#candidates(query)
      .filter((object) => matches(query, object))
      .sort((a, b) => compare(namespaceOf(a), namespaceOf(b)) || compare(a.metadata.name, b.metadata.name));
  }

  /** Tells what is there, before it returns, and every change from then on. */
  watch(query: ListQuery, onChange: (event: WatchEvent) => void): { stop(): void } {
    const watcher = { query, onChange };
    this.#watchers.add(watcher);
    for (const object of this.list(query)) {
      if (this.#watchers.has(watcher)) this.#tell(watcher, { type: "Added", object });
    }
    return { stop: () => this.#watchers.delete(watcher) };
  }

  put(seen: KubeObject): void {
    const namespace = namespaceOf(seen);
    const { name } = seen.metadata;
    const before = this.get(namespace, name);
    if (before !== undefined && before.metadata.uid !== seen.metadata.uid) this.#drop(before, before);
    else if (before?.metadata.resourceVersion === seen.metadata.resourceVersion && before !== undefined)
      return;
    const known = this.get(namespace, name);
    // Its own last state is most like it, then whatever of its kind came last.
    const object = sharedWith(known ?? this.#latest, this.#options.keep(seen));
    this.#latest = object;
    if (known !== undefined) this.#unindex(known);
    this.#index(object);
    const ofNamespace = this.#byNamespace.get(namespace) ?? new Map<string, KubeObject>();
    ofNamespace.set(name, object);
    this.#byNamespace.set(namespace, ofNamespace);
    this.#announce(known, object, object);
  }

  /** `last` is the object's last state. An object that was made anew in the meantime stays. */
  remove(last: KubeObject): void {
    const before = this.get(namespaceOf(last), last.metadata.name);
    if (before === undefined || before.metadata.uid !== last.metadata.uid) return;
    this.#drop(before, this.#options.keep(last));
  }

  /** Removes those that `isGone`, as they were last seen. */
  removeIf(isGone: (object: KubeObject) => boolean): void {
    const gone = [...this.#all()].filter(isGone);
    for (const object of gone) this.#drop(object, object);
  }

  get size(): number {
    return [...this.#byNamespace.values()].reduce((sum, ofNamespace) => sum + ofNamespace.size, 0);
  }

  #drop(before: KubeObject, last: KubeObject): void {
    const namespace = namespaceOf(before);
    const ofNamespace = this.#byNamespace.get(namespace);
    ofNamespace?.delete(before.metadata.name);
    if (ofNamespace?.size === 0) this.#byNamespace.delete(namespace);
    this.#unindex(before);
    this.#announce(before, undefined, last);
  }

  /** A watcher is told by what it saw before and sees now: its labels may have begun or ceased to match. */
  #announce(before: KubeObject | undefined, after: KubeObject | undefined, shown: KubeObject): void {
    for (const watcher of [...this.#watchers]) {
      if (!this.#watchers.has(watcher)) continue;
      const was = before !== undefined && matches(watcher.query, before);
      const is = after !== undefined && matches(watcher.query, after);
      if (is) this.#tell(watcher, { type: was ? "Modified" : "Added", object: shown });
      else if (was) this.#tell(watcher, { type: "Deleted", object: shown });
    }
  }

  #tell(watcher: Watcher, event: WatchEvent): void {
    try {
      watcher.onChange(event);
    } catch (thrown) {
      this.#options.onHandlerError(thrown);
    }
  }

  *#all(): Generator<KubeObject> {
    for (const ofNamespace of this.#byNamespace.values()) yield* ofNamespace.values();
  }

  #candidates({ namespace, labels }: { namespace?: string; labels?: ListQuery["labels"] }): KubeObject[] {
    const value = this.#options.index === undefined ? undefined : labels?.[this.#options.index];
    if (namespace === undefined) return [...this.#all()];
    const ofNamespace = this.#byNamespace.get(namespace);
    if (value === undefined) return [...(ofNamespace?.values() ?? [])];
    const names = this.#byLabel.get(`${namespace}/${value}`) ?? [];
    return [...names].map((name) => ofNamespace?.get(name)).filter((object) => object !== undefined);
  }

  #indexKey(object: KubeObject): string | undefined {
    const { index } = this.#options;
    const value = index === undefined ? undefined : object.metadata.labels?.[index];
    return value === undefined ? undefined : `${namespaceOf(object)}/${value}`;
  }

  #index(object: KubeObject): void {
    const key = this.#indexKey(object);
    if (key === undefined) return;
    const names = this.#byLabel.get(key) ?? new Set<string>();
    names.add(object.metadata.name);
    this.#byLabel.set(key, names);
  }

  #unindex(object: KubeObject): void {
    const key = this.#indexKey(object);
    const names = key === undefined ? undefined : this.#byLabel.get(key);
    if (key === undefined || names === undefined) return;
    names.delete(object.metadata.name);
    if (names.size === 0) this.#byLabel.delete(key);
  }
}

function matches({ namespace, labels }: Omit<ListQuery, "apiVersion" | "kind">, object: KubeObject): boolean {
  if (namespace !== undefined && namespaceOf(object) !== namespace) return false;
  return Object.entries(labels ?? {}).every(([name, value]) => object.metadata.labels?.[name] === value);
}

function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

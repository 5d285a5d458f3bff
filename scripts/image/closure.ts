/** package-lock.json, as far as it is read here (lockfileVersion 3). */
export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { optional?: boolean }>>;
}

/**
 * The folders, such as `node_modules/pino`, that the named packages need, by the rule by which Node.js finds them:
 * beside the one that asks, then above it. Optional ones are left to `isInstalled`: they are for one platform each.
 *
 * Packages of type declarations are left out: at run time nobody imports them.
 * @throws Error where a package is not in the lock
 */
export function closureOf(
  lock: Lock,
  names: readonly string[],
  isInstalled: (folder: string) => boolean,
): string[] {
  const folders = new Set<string>();
  const visit = (name: string, from: string, optional: boolean): void => {
    if (name.startsWith("@types/")) return;
    const folder = resolve(lock, name, from);
    if (folder === undefined || (optional && !isInstalled(folder))) {
      if (optional) return;
      throw new Error(`${name}, which ${from || "Naru"} needs, is not in package-lock.json`);
    }
    if (folders.has(folder)) return;
    folders.add(folder);
    const needs = lock.packages[folder] ?? {};
    for (const needed of Object.keys(needs.dependencies ?? {})) visit(needed, folder, false);
    for (const needed of Object.keys(needs.optionalDependencies ?? {})) visit(needed, folder, true);
    for (const needed of Object.keys(needs.peerDependencies ?? {})) {
      visit(needed, folder, needs.peerDependenciesMeta?.[needed]?.optional === true);
    }
  };
  for (const name of names) visit(name, "", false);
  return [...folders].sort();
}

function resolve(lock: Lock, name: string, from: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(at.lastIndexOf("node_modules/") - 1, 0))) {
    const folder = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (folder in lock.packages) return folder;
    if (at === "") return undefined;
  }
}

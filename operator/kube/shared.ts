/**
 * `value`, in which whatever equals its counterpart in `model` is the model's own. Objects of one kind are much alike
 * (probes, ports, security contexts, versions of one object), and a cache of thousands then holds what they have in
 * common once. It writes into `value`, which must be JSON that nobody else has yet.
 */
export function sharedWith<T>(model: unknown, value: T): T {
  return (isStructure(value) ? shareStructure(model, value) : value) as T;
}

type Structure = Record<string, unknown>;

/** `model` itself where all of it is equal. */
function shareStructure(model: unknown, value: Structure): Structure {
  if (!isStructure(model) || Array.isArray(model) !== Array.isArray(value)) return value;
  const names = Object.keys(value);
  let equal = names.length === Object.keys(model).length;
  for (const name of names) {
    const counterpart = Object.hasOwn(model, name) ? model[name] : undefined;
    const own = value[name];
    const shared = isStructure(own)
      ? shareStructure(counterpart, own)
      : own === counterpart
        ? counterpart
        : own;
    if (shared === counterpart) value[name] = shared;
    else equal = false;
  }
  return equal ? model : value;
}

function isStructure(value: unknown): value is Structure {
  return typeof value === "object" && value !== null;
}

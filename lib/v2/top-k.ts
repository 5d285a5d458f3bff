/**
 * Indices of the `k` highest of `count` values, highest first, equal ones by index, NaN last: as a stable sort of all
 * would give them, in count × log k steps and k numbers of memory. Classification asks for 5 of 1,000 classes, and
 * a search for 10 of a million.
 */
export function highest(k: number, count: number, valueAt: (index: number) => number): number[] {
  if (k <= 0) return [];
  // A heap with the lowest of those kept on top: what does not beat it is looked at once and forgotten.
  const indices: number[] = [];
  const values: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const value = rank(valueAt(index));
    if (indices.length < k) {
      indices.push(index);
      values.push(value);
      rise(indices, values, indices.length - 1);
      // Of equal values the earlier is kept, and it came first.
    } else if (value > (values[0] as number)) {
      indices[0] = index;
      values[0] = value;
      sink(indices, values);
    }
  }
  return indices
    .map((index, at) => ({ index, value: values[at] as number }))
    .sort((a, b) => (a.value === b.value ? a.index - b.index : a.value < b.value ? 1 : -1))
    .map(({ index }) => index);
}

/** NaN counts as the lowest there is. */
function rank(value: number): number {
  return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}

function below(indices: readonly number[], values: readonly number[], a: number, b: number): boolean {
  const [left, right] = [values[a] as number, values[b] as number];
  return left === right ? (indices[a] as number) > (indices[b] as number) : left < right;
}

function swap(list: number[], a: number, b: number): void {
  const kept = list[a] as number;
  list[a] = list[b] as number;
  list[b] = kept;
}

function rise(indices: number[], values: number[], from: number): void {
  let at = from;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!below(indices, values, at, parent)) return;
    swap(indices, at, parent);
    swap(values, at, parent);
    at = parent;
  }
}

function sink(indices: number[], values: number[]): void {
  let at = 0;
  for (;;) {
    let lowest = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < indices.length && below(indices, values, child, lowest)) lowest = child;
    }
    if (lowest === at) return;
    swap(indices, at, lowest);
    swap(values, at, lowest);
    at = lowest;
  }
}

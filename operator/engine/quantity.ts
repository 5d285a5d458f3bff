const SUFFIXES: Readonly<Record<string, readonly [base: bigint, exponent: number]>> = {
  n: [10n, -9],
  u: [10n, -6],
  m: [10n, -3],
  "": [10n, 0],
  k: [10n, 3],
  M: [10n, 6],
  G: [10n, 9],
  T: [10n, 12],
  P: [10n, 15],
  E: [10n, 18],
  Ki: [2n, 10],
  Mi: [2n, 20],
  Gi: [2n, 30],
  Ti: [2n, 40],
  Pi: [2n, 50],
  Ei: [2n, 60],
};

const QUANTITY = /^([+-]?)(\d{0,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/;

/**
 * A resource.Quantity in units of 10⁻⁹, the smallest that an API server keeps (it rounds up, away from zero);
 * undefined for what is not one. `1`, `"1"`, `"1000m"` and `"1e0"` are the same.
 */
export function nanos(quantity: unknown): bigint | undefined {
  if (typeof quantity !== "string" && typeof quantity !== "number") return undefined;
  const parts = QUANTITY.exec(String(quantity));
  if (parts === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = parts;
  if (whole + fraction === "") return undefined;
  const [base, power] = exponent === undefined ? (SUFFIXES[suffix] ?? [10n, 0]) : [10n, Number(exponent)];
  const digits = BigInt(whole + fraction) * 10n ** 9n;
  const above = power > 0 ? base ** BigInt(power) : 1n;
  const below = 10n ** BigInt(fraction.length) * (power < 0 ? base ** BigInt(-power) : 1n);
  const size = (digits * above + below - 1n) / below;
  return sign === "-" ? -size : size;
}

/** Whether an API server would store both as the same quantity. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  const value = nanos(a);
  return value !== undefined && value === nanos(b);
}

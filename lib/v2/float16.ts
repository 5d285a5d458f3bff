/** IEEE 754 binary16, as the bits that a Uint16Array holds. */

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

/** Round to nearest, ties to even; beyond ±65504 (after rounding) ±Infinity. */
export function toFloat16Bits(value: number): number {
  // Rounding twice, over float32, would break some ties; a float64 that lies off its float32 is made odd first.
  float32[0] = value;
  let bits = bits32[0] ?? 0;
  const rounded = float32[0];
  if (rounded !== value && Number.isFinite(value) && Number.isFinite(rounded)) {
    if (Math.abs(rounded) > Math.abs(value)) bits -= 1;
    bits |= 1;
  }
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200);
  const shifted = exponent - 112;
  if (shifted >= 0x1f) return sign | 0x7c00;
  if (shifted > 0) return sign | roundShift((shifted << 23) | mantissa, 13);
  if (shifted < -10) return sign;
  return sign | roundShift(mantissa | 0x800000, 14 - shifted);
}

/** `value >> shift`, to nearest, ties to even; a carry runs into the exponent, which is what rounding up means there. */
function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

export function fromFloat16Bits(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

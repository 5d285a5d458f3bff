/** Milliseconds as a `grpc-timeout` value: at most eight digits and a unit, never longer than what was given. */
export function formatGrpcTimeout(milliseconds: number): string {
  const microseconds = Math.max(1, Math.floor(milliseconds * 1000));
  if (microseconds < 1e8) return `${microseconds}u`;
  const whole = Math.floor(milliseconds);
  if (whole < 1e8) return `${whole}m`;
  return `${Math.min(99_999_999, Math.floor(milliseconds / 1000))}S`;
}

/**
 * Milliseconds to wait after so many failures before this one: doubled each time from `first` up to `longest`, and
 * somewhere in the upper half of that, so that a thousand clients of a server that comes back don't come at once.
 */
export function jittered(failures: number, first: number, longest: number): number {
  const bound = Math.min(first * 2 ** Math.min(failures, 30), longest);
  return bound * (0.5 + Math.random() / 2);
}

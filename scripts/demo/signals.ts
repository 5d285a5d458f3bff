/** Ctrl-C, a closed terminal or `kill` ended the demo. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof NUMBERS) {
    super("stopped");
    this.exitCode = 128 + NUMBERS[signal];
  }
}

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Calls `act` at each signal that asks the program to end, in place of ending it. */
export function onSignals(act: (reason: Interrupted) => void): void {
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => act(new Interrupted(signal)));
  }
}

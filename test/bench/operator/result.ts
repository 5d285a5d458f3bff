/** What one contender did; durations in seconds unless they say otherwise. */
export interface OperatorRow {
  readonly name: string;
  readonly version: string;
  /** There is no resource. */
  readonly empty: { readonly megabytes: number };
  /** Nothing but ModelServings is there when it starts. */
  readonly firstPass: {
    readonly seconds: number;
    readonly writesPerSecond: number;
    readonly cpuMicrosecondsPerWrite: number;
    /** Milliseconds that each newcomer waited. */
    readonly newcomers: readonly number[];
    readonly peakMegabytes: number;
  };
  /** All is done, and nothing happens. */
  readonly rest: {
    readonly megabytes: number;
    readonly requestsPerMinute: number;
    readonly cpuPercent: number;
  };
  /** It is started again, and finds nothing to do. */
  readonly noOp: {
    readonly startSeconds: number;
    readonly perSecond: number;
    readonly cpuMicroseconds: number;
    /** Writes, and reads of single objects, that reached the API server in the whole pass. */
    readonly requests: number;
    readonly peakMegabytes: number;
    readonly megabytes: number;
  };
  /** Once more, with newcomers: one that came while it was away, others while it goes through the rest. */
  readonly resync: { readonly cameBefore: number; readonly newcomers: readonly number[] };
}

export interface OperatorResult {
  readonly resources: number;
  readonly apiServer: string;
  readonly rows: readonly OperatorRow[];
  /** Why a contender was left out. */
  readonly missing: readonly string[];
}

/** One resource and its verdict; see model-serving-cases.ts. */
export interface AdmissionCase {
  readonly name: string;
  readonly spec: Record<string, unknown>;
  /** Absent: it is accepted. A rule's message begins with it, in zod and in CEL alike. */
  readonly refused?: string;
  /** The schema itself refuses it (a bound, an enum, a missing field): the words differ, the verdict does not. */
  readonly bySchema?: true;
  readonly resourceName?: string;
}

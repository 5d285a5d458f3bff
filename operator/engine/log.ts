/** What the engine needs of a logger (pino has it). Fields never hold a spec, a status or a payload. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Where a server listens. Without a host: on every address of the machine, of both families. */
export interface ListenAddress {
  readonly host: string | undefined;
  /** 0 takes a free one. */
  readonly port: number;
}

/**
 * `host:port`, `[host]:port` or `:port`, as Go programs have it; `0` is no address: nothing is served.
 * @throws RangeError
 */
export function readAddress(text: string): ListenAddress | undefined {
  if (text === "0" || text === "") return undefined;
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new RangeError(`${text} is not host:port`);
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? undefined : host, port };
}

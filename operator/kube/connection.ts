/** Where the API server is, and as whom it is asked. */
export interface Connection {
  /** Without a slash at its end. */
  readonly url: string;
  /** What a request carries now. `renew`: the server refused what was answered before. @throws NaruError */
  credentials(options?: { renew?: boolean }): Promise<Credentials>;
}

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  /** The same object as long as nothing in it has changed. */
  readonly tls: TlsOptions;
  readonly proxy?: string;
}

export interface TlsOptions {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

import { NaruError } from "../errors.ts";

/** What a client got wrong in a V2 request: 400 unless said otherwise. */
export function invalid(code: string, message: string, remedy: string, status = 400): NaruError {
  return new NaruError({ code, message, remedy, status });
}

/** A name or value of the client's, shortened, so that an error can quote it without echoing a payload. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 128 ? `${text.slice(0, 125)}...` : text);
}

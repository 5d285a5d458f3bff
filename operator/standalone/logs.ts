import fs from "node:fs";
import path from "node:path";

const defaultMaxBytes = 4 * 1024 * 1024;

/** A log file of bounded size: when it is full it becomes `FILE.1`, in place of the one before. */
export class BoundedLog {
  readonly file: string;
  readonly #maxBytes: number;
  #descriptor: number;
  readonly #onError: (error: unknown) => void;
  #size: number;
  #failed = false;

  constructor(file: string, onError: (error: unknown) => void, maxBytes = defaultMaxBytes) {
    this.#onError = onError;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.file = file;
    this.#maxBytes = maxBytes;
    this.#descriptor = fs.openSync(file, "a", 0o600);
    this.#size = fs.fstatSync(this.#descriptor).size;
  }

  /** What can't be written, as when the disk is full, is dropped and told once: a log ends nobody. */
  write(chunk: Buffer): void {
    try {
      if (this.#size > 0 && this.#size + chunk.length > this.#maxBytes) {
        fs.closeSync(this.#descriptor);
        fs.renameSync(this.file, `${this.file}.1`);
        this.#descriptor = fs.openSync(this.file, "a", 0o600);
        this.#size = 0;
      }
      fs.writeSync(this.#descriptor, chunk);
      this.#size += chunk.length;
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#onError(error);
      this.#failed = true;
    }
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

/** The last `bytes` of a log, from the beginning of a line; empty where there is none. */
export function tailOf(file: string, bytes: number): string {
  if (!fs.existsSync(file)) return "";
  const descriptor = fs.openSync(file, "r");
  try {
    const { size } = fs.fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    fs.readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    const text = buffer.toString();
    return size > bytes ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    fs.closeSync(descriptor);
  }
}

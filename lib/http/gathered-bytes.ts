/** Chunks below this are put together; the object that holds a chunk takes about a hundred bytes. */
const SMALL_BYTES = 1024;
const FIRST_SLAB_BYTES = 256;
const LAST_SLAB_BYTES = 16 * 1024;

/**
 * Bytes that come in pieces, kept until they are whole. A peer chooses the pieces: of single bytes, kept as they came,
 * a message would take a hundred times the memory that is counted for it. So small ones are copied together; large
 * ones, and a first one that may be all, stay views of what the socket gave.
 */
export class GatheredBytes {
  #pieces: Buffer[] = [];
  #length = 0;
  #slab = Buffer.alloc(0);
  #used = 0;
  /** Where in the slab the last piece begins; undefined where the last piece is none of the slab's. */
  #open: number | undefined;

  get length(): number {
    return this.#length;
  }

  /** In their order, to be read before the next `push`. */
  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  push(chunk: Buffer): void {
    const small = chunk.length < SMALL_BYTES && this.#pieces.length > 0;
    this.#length += chunk.length;
    if (small) this.#copy(chunk);
    else {
      this.#pieces.push(chunk);
      this.#open = undefined;
    }
  }

  /** All of it in one buffer, which is copied once however often it is asked for. */
  join(): Buffer {
    const [first] = this.#pieces;
    if (this.#pieces.length === 1 && first !== undefined) return first;
    const joined = Buffer.concat(this.#pieces, this.#length);
    this.clear();
    this.push(joined);
    return joined;
  }

  clear(): void {
    this.#pieces = [];
    this.#length = 0;
    this.#open = undefined;
  }

  #copy(chunk: Buffer): void {
    if (this.#slab.length - this.#used < chunk.length) {
      const bytes = Math.min(LAST_SLAB_BYTES, Math.max(FIRST_SLAB_BYTES, 2 * this.#length));
      this.#slab = Buffer.allocUnsafeSlow(Math.max(bytes, chunk.length));
      this.#used = 0;
      this.#open = undefined;
    }
    const start = this.#open ?? this.#used;
    this.#slab.set(chunk, this.#used);
    this.#used += chunk.length;
    const piece = this.#slab.subarray(start, this.#used);
    if (this.#open === undefined) this.#pieces.push(piece);
    else this.#pieces[this.#pieces.length - 1] = piece;
    this.#open = start;
  }
}

/** Collects, from requests that go round a set of images, whether each image was read rightly. */
export class Sweep {
  readonly #right: (boolean | undefined)[];
  readonly #from: number;
  #missing: number;
  readonly #done = Promise.withResolvers<number>();

  /**
   * @param images how many images there are; request `n` bears image `n % images`
   * @param from the first request that counts
   */
  constructor(images: number, from: number) {
    this.#right = Array.from({ length: images }, () => undefined);
    this.#missing = images;
    this.#from = from;
  }

  /** An image's first answer counts. */
  answered(request: number, right: boolean): void {
    const image = request % this.#right.length;
    if (request < this.#from || this.#right[image] !== undefined) return;
    this.#right[image] = right;
    this.#missing -= 1;
    if (this.#missing > 0) return;
    this.#done.resolve(this.#right.filter((one) => one === true).length / this.#right.length);
  }

  /** The share that was read rightly, once every image was answered. */
  finished(signal: AbortSignal): Promise<number> {
    const onAbort = () => this.#done.reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    return this.#done.promise.finally(() => signal.removeEventListener("abort", onAbort));
  }
}

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface ScrapedValue {
  readonly suffix?: "_bucket" | "_sum" | "_count";
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** A program's Prometheus metrics. One for a process, made where it starts; tests make their own. */
export class Metrics {
  readonly #registry = new Registry();

  /** Memory, CPU, event-loop lag and garbage collection of the process, under prom-client's usual names. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  /** `collect`, if given, is called at each scrape and sets the value. */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L> {
    return new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      ...(collect === undefined
        ? {}
        : {
            collect() {
              collect(this);
            },
          }),
    });
  }

  histogram<L extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram({
      name,
      help,
      buckets: [...buckets],
      labelNames: [...labelNames],
      registers: [this.#registry],
    });
  }

  /**
   * A metric whose numbers are kept elsewhere, as plain ones, and read at each scrape: what every request passes can't
   * afford a label lookup. Histograms give their `_bucket`, `_sum` and `_count` series by `suffix`.
   */
  scraped(
    name: string,
    help: string,
    type: "counter" | "gauge" | "histogram",
    read: () => readonly ScrapedValue[],
  ): void {
    const values = (): object[] =>
      read().map(({ suffix = "", labels, value }) => ({ metricName: `${name}${suffix}`, labels, value }));
    const metric = {
      name,
      help,
      get: async () => ({ name, help, type, aggregator: "sum", values: values() }),
    };
    // The registry asks a metric for no more than this; its own types know its own classes only.
    this.#registry.registerMetric(metric as unknown as Gauge);
  }

  /** What a scrape is answered with. */
  async expose(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

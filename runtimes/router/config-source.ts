import { watch } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type RouterConfig, routerConfig } from "../../lib/config/router.ts";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import { ConfigLedger } from "./config-ledger.ts";
import { parseConfig } from "./config-rules.ts";
import type { Router } from "./router.ts";

const FILE = "router.json";
/** A change is looked for at least so often, should the watch have missed one. */
const POLL_INTERVAL_MS = 10_000;

const ledgerState = z.object({ latest: routerConfig });

export interface ConfigSourceOptions {
  readonly configDir: string;
  /**
   * A folder that outlives a restart of the container (an emptyDir), for the last configuration that was pushed. A new
   * pod's mount is made fresh, but a container that restarts within its pod finds the file as the kubelet left it, up to
   * 90 s old: without this folder it applies that, reports its generation, and is pushed the right one by the
   * operator, which compares every router's report with what it wants.
   */
  readonly stateDir: string | undefined;
  readonly router: Router;
  readonly log: Logger;
}

/** Where configurations come from: the mounted file, the push, and what was kept from before a restart. */
export class ConfigSource {
  readonly #options: ConfigSourceOptions;
  #ledger = new ConfigLedger();
  #text: string | undefined;
  #reading: Promise<void> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  #watcher: { close(): void } | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
  }

  /** Resolves once the kept configuration and the file were read; whether either could be applied, the router says. */
  async open(): Promise<void> {
    await this.#restore();
    const { configDir, log } = this.#options;
    try {
      // The folder: a ConfigMap is replaced by swapping a link in it.
      const watcher = watch(configDir, { persistent: false }, () => this.#readSoon());
      watcher.on("error", (error) => log.warn({ err: error }, "the configuration's folder is not watched"));
      this.#watcher = watcher;
    } catch (error) {
      log.warn({ err: error }, "the configuration's folder is not watched");
    }
    this.#poll = setInterval(() => this.#readSoon(), POLL_INTERVAL_MS).unref();
    this.#readSoon();
    await this.#reading;
  }

  /**
   * A configuration that the operator pushed: that it is the operator's was verified. Resolves when it is decided for the
   * first time whether it is applied.
   *
   * @throws NaruError InvalidConfig, InvalidGraph (400), StaleConfig (409); nothing changes then.
   */
  async push(document: unknown): Promise<void> {
    const { settled } = this.#acceptPush(document);
    this.#save();
    await settled;
  }

  #acceptPush(document: unknown): { settled: Promise<void> } {
    try {
      const config = parseConfig(document);
      if (config.sequence === 0) throw unnumbered();
      if (this.#ledger.judge(config) === "stale") throw stale(config, this.#ledger.latest);
      const offered = this.#options.router.offer(config);
      this.#ledger.accept(config);
      return offered;
    } catch (error) {
      // The operator reads what is wrong from the report; a late push of a former leader is none of its business.
      if (error instanceof NaruError && error.status === 400) this.#options.router.refuse(error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    clearInterval(this.#poll);
    await this.#reading;
    await this.#saving;
  }

  /** One reading after another: two at once could apply in the wrong order. */
  #readSoon(): void {
    this.#reading = this.#reading.then(() => this.#read());
  }

  async #read(): Promise<void> {
    const { configDir, router, log } = this.#options;
    let text: string;
    try {
      text = await readFile(join(configDir, FILE), "utf8");
    } catch (error) {
      if (this.#ledger.latest === undefined) router.refuse(unreadable(error));
      return;
    }
    if (text === this.#text) return;
    this.#text = text;
    try {
      const config = parseConfig(parseJson(text));
      const verdict = this.#ledger.judge(config);
      if (verdict !== "apply") {
        log.info({ generation: config.generation, verdict }, "the mounted configuration is not newer");
        return;
      }
      router.offer(config);
      this.#ledger.accept(config);
    } catch (error) {
      router.refuse(error instanceof NaruError ? error : unreadable(error));
    }
  }

  async #restore(): Promise<void> {
    const { stateDir, router, log } = this.#options;
    if (stateDir === undefined) return;
    try {
      const state = ledgerState.parse(JSON.parse(await readFile(join(stateDir, FILE), "utf8")));
      router.offer(state.latest);
      this.#ledger = new ConfigLedger(state);
      log.info({ generation: state.latest.generation }, "restored the configuration that was pushed last");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
      log.warn(
        { problem: messageOf(error) },
        "the kept configuration can't be read; the mounted one is taken",
      );
    }
  }

  #save(): void {
    const { stateDir, log } = this.#options;
    const state = this.#ledger.state();
    if (stateDir === undefined || state === undefined) return;
    this.#saving = this.#saving
      .then(async () => {
        await mkdir(stateDir, { recursive: true });
        const path = join(stateDir, FILE);
        await writeFile(`${path}.new`, JSON.stringify(state));
        await rename(`${path}.new`, path);
      })
      .catch((error: unknown) => log.warn({ problem: messageOf(error) }, "the configuration can't be kept"));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): NaruError {
  return new NaruError({
    code: "InvalidConfig",
    message: `${FILE} can't be read: ${messageOf(error)}`,
    remedy: "check that the router's ConfigMap is mounted at NARU_CONFIG_DIR",
    status: 400,
    cause: error,
  });
}

/** Without a number it could be sent again at any time. */
function unnumbered(): NaruError {
  return new NaruError({
    code: "InvalidConfig",
    message: "router configuration: a pushed one needs a sequence above 0",
    remedy: "the operator writes it: check that it and the runtime image are of one release",
    status: 400,
  });
}

function stale(config: RouterConfig, latest: RouterConfig | undefined): NaruError {
  return new NaruError({
    code: "StaleConfig",
    message: `the configuration ${config.generation} (sequence ${config.sequence}) is older than the one in force (sequence ${latest?.sequence})`,
    remedy:
      "read the ModelServing's state anew and push what follows from it; if the operator itself is refused, its status was lost: restart the routers",
    status: 409,
  });
}

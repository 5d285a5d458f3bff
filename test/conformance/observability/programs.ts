import { type ChildProcess, spawn } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { openStandalone } from "../../../operator/standalone/client.ts";
import { readHeldOut } from "../../../scripts/demo/images.ts";
import { Load } from "../../../scripts/demo/load.ts";
import { Up } from "../../../scripts/demo/up.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { eventually } from "../../support/eventually.ts";
import { end, freePort } from "../../support/program.ts";
import type { Target } from "./prometheus.ts";

const ROOT = join(import.meta.dirname, "../../..");
const HELD_OUT = join(ROOT, "examples/digits/held-out/optdigits-held-out.csv");
const LIMIT = 120_000;

interface Pod {
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  spec: { containers: { ports?: { name: string; containerPort: number }[] }[] };
}

/** The digits example with a canary under way that stays where it is, served by `naru up` and asked all the while. */
export class Serving {
  readonly #folder: string;
  readonly #up: Up;
  #load: Load | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#up = new Up(folder, "digits", () => undefined);
  }

  static async start(folder: string): Promise<Serving> {
    await cp(join(ROOT, "examples/digits/models"), join(folder, "models"), { recursive: true });
    await cp(join(ROOT, "examples/demo/v1.yaml"), join(folder, "digits.yaml"));
    const serving = new Serving(folder);
    try {
      await serving.#begin();
    } catch (thrown) {
      await serving.stop();
      throw thrown;
    }
    return serving;
  }

  async #begin(): Promise<void> {
    const address = await eventually("digits serves", () => this.#up.address, LIMIT);
    this.#load = new Load({
      address,
      model: "digits",
      images: readHeldOut(HELD_OUT),
      clients: 4,
      perSecond: 50,
    });
    // Before the first rollout is complete there is nothing that a canary would be beside.
    const complete = async () =>
      (await this.#up.resource())?.status.conditions?.some(
        ({ type, status }) => type === "RolloutComplete" && status === "True",
      );
    await eventually("the first rollout is complete", complete, LIMIT);
    const next = parse(await readFile(join(ROOT, "examples/demo/v2.yaml"), "utf8"));
    next.spec.canary.steps = [{ weightPercent: 50, holdSeconds: 3600 }];
    // Not its speed on a busy machine is asked here, but whether there is something to see of it.
    next.spec.canary.analysis = { divergence: { mirrorPercent: 30, maxPerMille: 1000 } };
    await writeFile(join(this.#folder, "digits.yaml"), stringify(next));
    const atHalf = async () => (await this.#up.resource())?.status.canary?.weightPercent === 50;
    await eventually("the canary answers", atHalf, LIMIT);
  }

  /** Admin ports of its pods, labelled as the chart's ServiceMonitor has it. */
  async targets(): Promise<Target[]> {
    const pods = (await openStandalone(this.#folder).list({
      apiVersion: "v1",
      kind: "Pod",
    })) as unknown as Pod[];
    return pods.flatMap(({ metadata, spec }) => {
      const ports = spec.containers.flatMap((container) => container.ports ?? []);
      const port = ports.find(({ name }) => name === "admin")?.containerPort;
      if (port === undefined) return [];
      const labels = {
        namespace: metadata.namespace ?? "default",
        pod: metadata.name,
        naru_dev_model_serving: metadata.labels?.["naru.dev/model-serving"] ?? "",
      };
      return [{ address: `127.0.0.1:${port}`, labels }];
    });
  }

  get lost(): number {
    return this.#load?.lost ?? 0;
  }

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.#up.stop();
  }
}

/** The operator's own program on an API server, as one pod of it would run. */
export class Operator {
  readonly target: Target;
  readonly #program: ChildProcess;

  private constructor(program: ChildProcess, port: number) {
    this.#program = program;
    this.target = {
      address: `127.0.0.1:${port}`,
      labels: { namespace: "naru-system", pod: "naru-operator-0" },
    };
  }

  static async start(server: ApiServer): Promise<Operator> {
    const port = await freePort();
    const args = [
      "--runtime-image=registry.example/naru/runtime:1",
      "--namespace=naru-system",
      `--metrics-address=127.0.0.1:${port}`,
      "--health-address=0",
    ];
    const program = spawn(process.execPath, [join(ROOT, "operator/main.ts"), ...args], {
      env: { ...process.env, KUBECONFIG: server.kubeconfig },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const operator = new Operator(program, port);
    try {
      await eventually("the operator leads", () => operator.#leads(), LIMIT);
    } catch (thrown) {
      await operator.stop();
      throw thrown;
    }
    return operator;
  }

  async #leads(): Promise<boolean> {
    const answer = await fetch(`http://${this.target.address}/metrics`);
    return /^leader_election_master_status\{.*\} 1$/m.test(await answer.text());
  }

  stop(): Promise<void> {
    return end(this.#program);
  }
}

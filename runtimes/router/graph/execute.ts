import { messageOf, NaruError } from "../../../lib/errors.ts";
import type { Parameters, Tensor } from "../../../lib/v2/types.ts";
import { combineTensors } from "./combine.ts";
import { holds } from "./condition.ts";
import { type Carried, carried, type GraphPlan, type PlannedEdge, sameOfRequest } from "./plan.ts";

/** What running a graph needs of the world. */
export interface GraphEffects {
  /** Runs one node's model. Rejects with the backend's error; should stop when `signal` aborts. */
  call(node: number, inputs: readonly Tensor[], signal: AbortSignal): Promise<readonly Tensor[]>;
  /** A splitter's choice for this request: one of the edges that leave the node. */
  split(node: number): PlannedEdge;
  /** Whether a node has a use for a tensor: a model is not sent outputs of others that it does not declare. */
  takes(node: number, tensor: string): boolean;
}

export interface GraphRequest {
  readonly inputs: readonly Tensor[];
  readonly parameters: Parameters;
}

/**
 * Runs one request through a graph: each activated node once, as soon as every edge that leads to it is
 * settled (activated, or known never to be in this request), independent nodes side by side. The answer is the
 * union of the outputs of the activated nodes that no edge leaves, in the order of `plan.nodes`.
 *
 * The first failure ends the whole: it aborts the calls under way and names the node. When `signal` aborts
 * (deadline, client gone) it rejects with the signal's reason at once, whether or not the calls obey.
 */
export async function executeGraph(
  plan: GraphPlan,
  request: GraphRequest,
  effects: GraphEffects,
  signal: AbortSignal,
): Promise<Tensor[]> {
  const inner = new AbortController();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      inner.abort(signal.reason);
      reject(signal.reason);
    };
  });
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const run = new GraphRun(plan, request, effects, inner.signal);
  try {
    return await Promise.race([run.result(), aborted]);
  } catch (error) {
    inner.abort(error);
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

interface Arrival {
  readonly edge: PlannedEdge;
  readonly outputs: readonly Tensor[];
}

class GraphRun {
  readonly #plan: GraphPlan;
  readonly #request: GraphRequest;
  readonly #effects: GraphEffects;
  readonly #signal: AbortSignal;
  readonly #unsettled: number[];
  readonly #arrivals: Arrival[][];
  readonly #answers = new Map<number, readonly Tensor[]>();

  constructor(plan: GraphPlan, request: GraphRequest, effects: GraphEffects, signal: AbortSignal) {
    this.#plan = plan;
    this.#request = request;
    this.#effects = effects;
    this.#signal = signal;
    this.#unsettled = plan.entering.map((edges) => edges.length);
    this.#arrivals = plan.nodes.map(() => []);
  }

  async result(): Promise<Tensor[]> {
    const { entry } = this.#plan;
    // The request may hold tensors for other nodes as well.
    const inputs = this.#request.inputs.filter(({ name }) => this.#effects.takes(entry, name));
    await this.#runNode(entry, inputs);
    return this.#union();
  }

  /** Settles when everything that follows from this node is done. */
  async #runNode(node: number, inputs: readonly Tensor[]): Promise<void> {
    if (this.#signal.aborted) throw this.#signal.reason;
    const outputs = await this.#outputsOf(node, inputs);
    const leaving = this.#plan.leaving[node] ?? [];
    if (leaving.length === 0) {
      this.#answers.set(node, outputs);
      return;
    }
    const taken = this.#chosen(node, leaving, outputs);
    const ready: number[] = [];
    for (const edge of leaving) this.#settle(edge, taken.includes(edge) ? outputs : undefined, ready);
    await Promise.all(ready.map((next) => this.#runNode(next, this.#inputsOf(next))));
  }

  async #outputsOf(node: number, inputs: readonly Tensor[]): Promise<readonly Tensor[]> {
    if (this.#plan.nodes[node]?.model === undefined) return inputs;
    try {
      return await this.#effects.call(node, inputs, this.#signal);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw named(this.#name(node), error);
    }
  }

  #chosen(node: number, leaving: readonly PlannedEdge[], outputs: readonly Tensor[]): readonly PlannedEdge[] {
    switch (this.#plan.nodes[node]?.routing) {
      case "Splitter":
        return [this.#effects.split(node)];
      case "Switch": {
        const first = leaving.find(
          ({ edge }) => edge.when !== undefined && holds(edge.when, this.#request.parameters, outputs),
        );
        const taken = first ?? leaving.find(({ edge }) => edge.when === undefined);
        if (taken !== undefined) return [taken];
        throw new NaruError({
          code: "GraphNoBranch",
          message: `node "${this.#name(node)}": no condition of the switch holds for this request`,
          remedy: "send a parameter that one of the conditions names, or give the switch an edge without one",
          status: 400,
        });
      }
      default:
        return leaving;
    }
  }

  /** `outputs` undefined: the edge is dead in this request, and so is all that only dead edges lead to. */
  #settle(edge: PlannedEdge, outputs: readonly Tensor[] | undefined, ready: number[]): void {
    const arrivals = this.#arrivals[edge.to];
    if (outputs !== undefined) arrivals?.push({ edge, outputs });
    const left = (this.#unsettled[edge.to] ?? 0) - 1;
    this.#unsettled[edge.to] = left;
    if (left > 0) return;
    if (arrivals !== undefined && arrivals.length > 0) {
      ready.push(edge.to);
    } else {
      for (const next of this.#plan.leaving[edge.to] ?? []) this.#settle(next, undefined, ready);
    }
  }

  #inputsOf(node: number): Tensor[] {
    const byName = new Map<string, Carried<Tensor>[]>();
    // In the order of the configuration, not of arrival: a mean of floats depends on it.
    const arrivals = (this.#arrivals[node] ?? []).toSorted((a, b) => a.edge.index - b.edge.index);
    for (const { edge, outputs } of arrivals) {
      for (const one of carried(edge.edge, outputs, this.#request.inputs)) {
        const { name } = one.tensor;
        if (!this.#effects.takes(node, name)) continue;
        const list = byName.get(name) ?? [];
        byName.set(name, list);
        if (!list.some((other) => sameOfRequest(one, other))) list.push(one);
      }
    }
    const combine = this.#plan.nodes[node]?.combine;
    return [...byName.values()].map((tensors) => {
      try {
        return combineTensors(
          tensors.map(({ tensor }) => tensor),
          combine,
        );
      } catch (error) {
        throw named(this.#name(node), error);
      }
    });
  }

  #union(): Tensor[] {
    const union = new Map<string, Tensor>();
    for (let node = 0; node < this.#plan.nodes.length; node += 1) {
      for (const tensor of this.#answers.get(node) ?? []) {
        if (union.has(tensor.name)) {
          throw new NaruError({
            code: "InvalidGraph",
            message: `node "${this.#name(node)}": another node already answered an output "${tensor.name}"`,
            remedy: "rename one of the two on an edge, or lead both to a node that combines them",
          });
        }
        union.set(tensor.name, tensor);
      }
    }
    return [...union.values()];
  }

  #name(node: number): string {
    return this.#plan.nodes[node]?.name ?? String(node);
  }
}

function named(node: string, error: unknown): NaruError {
  const known = error instanceof NaruError ? error : undefined;
  return new NaruError({
    code: known?.code ?? "GraphNodeFailed",
    message: `node "${node}": ${messageOf(error)}`,
    remedy: known?.remedy ?? "look at the node's own log and status",
    status: known?.status ?? 502,
    cause: error,
  });
}

import { z } from "zod";
import { decimal, dnsLabel, percent, tensorName } from "../primitives.ts";
import { celExactlyOne, countPresent, keyedList, withRules } from "../rules.ts";
import { model } from "./model.ts";
import { container } from "./pod.ts";
import { postprocessStep, preprocessStep } from "./steps.ts";

const sources = ["model", "container", "serving", "combine"];

const node = withRules(
  z.strictObject({
    name: dnsLabel.max(30).describe("Name of the node, unique in the graph."),
    model: model
      .optional()
      .describe("A model, loaded in this resource's own pods beside those of other nodes."),
    container: container.optional().describe("A step of the user's own that speaks V2, in pods of its own."),
    serving: dnsLabel.optional().describe("Another ModelServing in this namespace."),
    combine: z
      .enum(["Mean", "Max"])
      .optional()
      .describe("No model: tensors of one name that arrive over several edges become one."),
    modelName: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("Name of the model in the container. Absent: the name of the node."),
    routing: z
      .enum(["All", "Switch", "Splitter"])
      .optional()
      .describe(
        "All (what an absent field means): every edge that leaves is followed. Switch: the first whose condition holds. Splitter: one, by weight.",
      ),
    preprocess: z.array(preprocessStep).max(16).optional().describe("Steps before the model of this node."),
    postprocess: z.array(postprocessStep).max(16).optional().describe("Steps after the model of this node."),
  }),
  [
    {
      cel: celExactlyOne(sources),
      message: "graph node: set exactly one of model, container, serving and combine",
      holds: (value) => countPresent(value, sources) === 1,
    },
    {
      cel: "!has(self.container) || has(self.container.httpPort)",
      message: "graph node: the router calls a step over HTTP: set container.httpPort",
      holds: (value) => value.container === undefined || value.container.httpPort !== undefined,
    },
  ],
);

const edge = withRules(
  z.strictObject({
    from: dnsLabel.max(30).describe("Node that the edge leaves."),
    to: dnsLabel.max(30).describe("Node that it enters."),
    tensors: z
      .array(
        z.strictObject({
          from: tensorName.describe("Output of the node `from`, or the request's tensor."),
          to: tensorName.describe("Input of the node `to`."),
          source: z
            .enum(["Output", "Request"])
            .optional()
            .describe(
              "Output (what an absent field means): `from` is an output of the node that the edge leaves. Request: it is a tensor of the request itself, sent along when the edge is followed, in place of an output that keeps the name `to`.",
            ),
        }),
      )
      .max(64)
      .optional()
      .describe(
        "Outputs that change their name (others keep it), and tensors of the request that `to` gets too.",
      ),
    when: withRules(
      z.strictObject({
        parameter: z.string().min(1).max(256).optional().describe("A request parameter."),
        output: tensorName.optional().describe("An output of `from`; its first element is compared."),
        equals: z.string().max(256).optional().describe("It is this."),
        lessThan: decimal.optional().describe("It is less than this number."),
        atLeast: decimal.optional().describe("It is this number or more."),
      }),
      [
        {
          cel: celExactlyOne(["parameter", "output"]),
          message: "when: set exactly one of parameter and output",
          holds: (value) => countPresent(value, ["parameter", "output"]) === 1,
        },
        {
          cel: "has(self.equals) || has(self.lessThan) || has(self.atLeast)",
          message: "when: set equals, lessThan or atLeast",
          holds: (value) => countPresent(value, ["equals", "lessThan", "atLeast"]) > 0,
        },
      ],
    )
      .optional()
      .describe(
        "Condition of an edge that leaves a Switch. Absent: the edge that is followed when no other is.",
      ),
    weightPercent: percent.optional().describe("Share of an edge that leaves a Splitter."),
  }),
  [
    {
      cel: "self.from != self.to",
      message: "graph edge: from and to are the same node: name another one",
      holds: (value) => value.from !== value.to,
    },
  ],
);

export const graph = z
  .strictObject({
    entry: dnsLabel.max(30).describe("Node that receives the request's inputs."),
    nodes: keyedList(
      z.array(node).min(1).max(32),
      "name",
      "graph: two nodes have the same name: rename one",
    ).describe("Nodes: models, containers, other ModelServings, or combinations."),
    edges: z
      .array(edge)
      .max(128)
      .optional()
      .describe("Which output goes where. The graph must have no cycle."),
  })
  .describe(
    "An inference graph: several models behind one name. A cycle or a dangling edge shows as Ready=False, reason InvalidGraph.",
  );

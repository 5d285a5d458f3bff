import type { z } from "zod";
import { type StructuralSchema, structuralSchema } from "./structural.ts";

/** What a kind says of itself beside its schema. */
export interface KindDefinition {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly description: string;
  readonly scale?: {
    readonly specReplicasPath: string;
    readonly statusReplicasPath: string;
    readonly labelSelectorPath: string;
  };
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly jsonPath: string;
    readonly description: string;
    readonly priority?: number;
  }[];
}

/** The CustomResourceDefinition of a kind, as an object; scripts/generate.ts writes it as YAML. */
export function customResourceDefinition(definition: KindDefinition, schema: z.ZodType) {
  const { group, version, kind, plural, singular, shortNames, categories, columns, scale } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: rootSchema(schema, definition.description) },
          subresources: { status: {}, ...(scale === undefined ? {} : { scale }) },
        },
      ],
    },
  };
}

/** At the root an API server owns `apiVersion`, `kind` and `metadata`; only the name may be restricted. */
function rootSchema(schema: z.ZodType, description: string): StructuralSchema {
  const root = structuralSchema(schema);
  const { name } = root.properties?.metadata?.properties ?? {};
  const { spec, status } = root.properties ?? {};
  if (name === undefined || spec === undefined || status === undefined) {
    throw new Error("the schema of a kind has metadata.name, spec and status");
  }
  return {
    type: "object",
    description,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string", description: "Version of this representation of the object." },
      kind: { type: "string", description: "Kind of the object." },
      metadata: { type: "object", properties: { name } },
      spec,
      status,
    },
  };
}

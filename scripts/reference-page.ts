import { stringify } from "yaml";
import type { KindDefinition } from "../crds/manifest.ts";
import type { StructuralSchema } from "../crds/structural.ts";

/**
 * The reference page of a kind, from the same structural schema as its CustomResourceDefinition: what is written
 * here is what an API server and `naru validate` hold a resource to.
 */
export function referencePage(definition: KindDefinition, schema: StructuralSchema, example: string): string {
  const spec = property(schema, "spec");
  const status = property(schema, "status");
  const name = property(property(schema, "metadata"), "name");
  return [
    "<!-- Generated from crds/ by npm run generate. Do not edit. -->",
    `# ${definition.kind}`,
    definition.description,
    `\`${definition.group}/${definition.version}\`, namespaced, \`kubectl get ${definition.plural}\` or \`${definition.shortNames.join("`, `")}\`. \`metadata.name\` has at most ${name.maxLength} characters, so that the names of what is made for it fit.`,
    `\`\`\`yaml\n${example.trimEnd()}\n\`\`\``,
    "A field without a default may be left out unless it is marked *required*. Between the fields of one object rules may hold; they are listed with the object, and a resource that breaks one is refused with its message, by an API server and by `naru validate` alike.",
    "## Columns",
    columns(definition),
    "## spec",
    object(spec, "spec"),
    "## status",
    "Written by the operator alone.",
    object(status, "status"),
  ]
    .join("\n\n")
    .concat("\n");
}

function columns(definition: KindDefinition): string {
  return table(
    ["Column", "Shows"],
    definition.columns.map(({ name, description, priority }) => [
      priority === undefined ? name : `${name} (\`-o wide\`)`,
      description,
    ]),
  );
}

/** A table of the fields of an object and of every object and list below it, then the rules that hold. */
function object(schema: StructuralSchema, path: string): string {
  const rows: string[][] = [];
  const rules: { path: string; message: string }[] = [];
  collect(schema, path, rows, rules);
  const parts = sections(rows, path);
  if (rules.length > 0) {
    parts.push(
      `### Rules of ${path}`,
      unique(rules.map((rule) => `- \`${rule.path}\`: ${rule.message}`)).join("\n"),
    );
  }
  return parts.join("\n\n");
}

/** One table a top-level field that has fields of its own; the plain ones first, together. */
function sections(rows: readonly string[][], path: string): string[] {
  const groups = new Map<string, string[][]>([["", []]]);
  for (const row of rows) {
    const field = (row[0] ?? "").slice(path.length + 1);
    const top = field.match(/^[^.[{]+/)?.[0] ?? "";
    const nested = rows.some(
      (other) =>
        (other[0] ?? "").startsWith(`${path}.${top}.`) || (other[0] ?? "").startsWith(`${path}.${top}[].`),
    );
    const key = nested ? top : "";
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups].flatMap(([name, group]) =>
    group.length === 0
      ? []
      : [
          ...(name === "" ? [] : [`### ${path}.${name}`]),
          table(
            ["Field", "Type", "Bounds", "Default", "Description"],
            group.map(([field = "", ...rest]) => [`\`${field.slice(path.length + 1)}\``, ...rest]),
          ),
        ],
  );
}

function collect(
  schema: StructuralSchema,
  path: string,
  rows: string[][],
  rules: { path: string; message: string }[],
): void {
  for (const { message } of schema["x-kubernetes-validations"] ?? []) rules.push({ path, message });
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = `${path}.${name}`;
    const required = schema.required?.includes(name) === true ? "*required* " : "";
    rows.push([at, typeOf(field), bounds(field), defaultOf(field), required + (field.description ?? "")]);
    collect(field, at, rows, rules);
  }
  if (schema.items !== undefined) collect(schema.items, `${path}[]`, rows, rules);
  if (schema.additionalProperties !== undefined) {
    collect(schema.additionalProperties, `${path}{}`, rows, rules);
  }
}

function typeOf(schema: StructuralSchema): string {
  if (schema["x-kubernetes-int-or-string"] === true) return "integer or string";
  if (schema.items !== undefined) return `list of ${plural(typeOf(schema.items))}`;
  if (schema.additionalProperties !== undefined)
    return `map of ${plural(typeOf(schema.additionalProperties))}`;
  if (schema.enum !== undefined) return "enum";
  return schema.format ?? schema.type ?? "";
}

function plural(type: string): string {
  return type === "integer or string" ? "integers or strings" : `${type}s`;
}

function bounds(schema: StructuralSchema): string {
  const own = [
    ...(schema.enum === undefined ? [] : [schema.enum.map((value) => `\`${value}\``).join(", ")]),
    range(schema.minimum, schema.maximum, ""),
    range(schema.minLength, schema.maxLength, " characters"),
    range(schema.minItems, schema.maxItems, " items"),
    range(undefined, schema.maxProperties, " entries"),
    ...(schema.pattern === undefined ? [] : [`\`${schema.pattern}\``]),
  ].filter((part) => part !== "");
  const inner = schema.items ?? schema.additionalProperties;
  const each = inner === undefined || inner.properties !== undefined ? "" : bounds(inner);
  return [...own, ...(each === "" ? [] : [`each: ${each}`])].join("; ");
}

function range(low: number | undefined, high: number | undefined, unit: string): string {
  const bigEnough = (value: number) => value.toLocaleString("en-US");
  if (low === undefined && high === undefined) return "";
  if (high === undefined) return `≥ ${bigEnough(low ?? 0)}${unit}`;
  if (low === undefined) return `≤ ${bigEnough(high)}${unit}`;
  return `${bigEnough(low)} to ${bigEnough(high)}${unit}`;
}

function defaultOf(schema: StructuralSchema): string {
  return schema.default === undefined
    ? ""
    : `\`${stringify(schema.default, { collectionStyle: "flow" }).trimEnd()}\``;
}

function property(schema: StructuralSchema, name: string): StructuralSchema {
  const found = schema.properties?.[name];
  if (found === undefined) throw new Error(`the schema has no ${name}`);
  return found;
}

function unique(lines: readonly string[]): string[] {
  return [...new Set(lines)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

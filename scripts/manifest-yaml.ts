import { Document, Scalar, visit } from "yaml";

/** A collection that takes no more than this many characters as JSON is written on one line. */
const LINE = 1000;

const HEADER = " Generated from crds/ by npm run generate. Do not edit.\n";

/**
 * A CustomResourceDefinition as YAML. Small schemas stand on one line: a deep schema in block style is two thirds
 * indentation and would pass the 100 KB that a definition may take.
 */
export function manifestYaml(manifest: object): string {
  const document = new Document(JSON.parse(JSON.stringify(manifest)));
  visit(document, {
    Collection(_key, node) {
      if (JSON.stringify(node.toJSON()).length > LINE) return undefined;
      node.flow = true;
      // libyaml and Go's parsers, kubectl's among them, take a ? or : in it for a key's mark.
      visit(node, {
        Scalar(_place, scalar) {
          if (typeof scalar.value === "string" && /[?:]/.test(scalar.value))
            scalar.type = Scalar.QUOTE_DOUBLE;
        },
      });
      return visit.SKIP;
    },
  });
  document.commentBefore = HEADER.trimEnd();
  return document.toString({ lineWidth: 0, flowCollectionPadding: false, indentSeq: false });
}

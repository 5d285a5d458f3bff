import { modelServing } from "../crds/model-serving.ts";
import type { KindSchemas } from "../operator/standalone/documents.ts";

/** The kinds that people write, as standalone reads them from files. */
export const schemas: KindSchemas = new Map([["naru.dev/v1alpha1/ModelServing", modelServing]]);

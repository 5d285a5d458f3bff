import type { ApiServer } from "./api-server.ts";
import { eventually } from "./eventually.ts";

interface Definition {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] };
}

/** Resolves once every CustomResourceDefinition is served: some moments after the server has accepted it. */
export async function definitionsServed(server: ApiServer): Promise<void> {
  const { body } = await server.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
  for (const { spec } of body.items as Definition[]) {
    for (const { name, served } of spec.versions) {
      if (!served) continue;
      const path = `/apis/${spec.group}/${name}/${spec.names.plural}`;
      await eventually(`${path} is served`, async () => (await server.request("GET", path)).status === 200);
    }
  }
}

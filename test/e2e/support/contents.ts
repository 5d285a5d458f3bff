import type { Namespace } from "./kube.ts";

/** Names of all that is in a namespace, of whatever kind, what passes by itself aside. */
export async function contentsOf(namespace: Namespace): Promise<readonly string[]> {
  const kinds = await namespace.run(["api-resources", "--namespaced", "--verbs=list", "--output=name"]);
  const lasting = lines(kinds).filter((kind) => !/^(events|.*metrics\.k8s\.io)/.test(kind));
  return lines(await namespace.run(["get", lasting.join(), "--output", "name", "--ignore-not-found"]));
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "");
}

import { toApply } from "../../../operator/engine/diff.ts";
import { decide } from "../../../operator/model-serving/decide.ts";
import { nothingObserved } from "../../support/nothing-observed.ts";
import { RUNTIME_IMAGE } from "./contenders.ts";
import { benchServing } from "./population.ts";

/** Words in the places of what each resource has for itself; the peer's template.go knows them. */
const NAMESPACE = "template-namespace";
const NAME = "template-own-name";
const UID = "template-uid";
const REVISION = "template-revision";

/** What the peer applies for each resource: our own decision on it, so that both send the same bytes. */
export function peerTemplate(): { children: unknown[]; status: unknown } {
  const resource = benchServing(NAMESPACE, NAME);
  const settings = { ...nothingObserved.settings, runtimeImage: RUNTIME_IMAGE };
  const { children, status } = decide(
    { ...resource, metadata: { ...resource.metadata, uid: UID, generation: 1 } },
    { ...nothingObserved, settings },
    new Date(0),
  );
  const [revision] = children;
  const name = revision?.metadata.name.slice(NAME.length + 1) ?? "";
  const text = JSON.stringify({ children: children.map((child) => toApply(child)), status });
  return JSON.parse(text.replaceAll(name, REVISION)) as { children: unknown[]; status: unknown };
}

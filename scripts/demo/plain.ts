import { ms } from "./panel.ts";
import type { Scene } from "./scene.ts";

/** Lines of a view that is not a terminal: what has changed in the story since `before`, else the numbers. */
export function plainLines(scene: Scene, before: Scene | undefined): string[] {
  const clock = `${Math.floor(scene.seconds)}s`.padStart(4);
  const changed = scene.acts.filter(({ state, detail }, index) => {
    const then = before?.acts[index];
    return state !== then?.state && state !== "Waiting" && !(detail === "" && state === "UnderWay");
  });
  const words = { Waiting: "", UnderWay: "…", Done: "ok", Failed: "FAILED" };
  return changed.length > 0
    ? changed.map(({ title, state, detail }) => `${clock}  ${title}  ${words[state]}  ${detail}`.trimEnd())
    : [`${clock}  ${numbers(scene)}`];
}

function numbers({ acts, split, recent, sent, lost }: Scene): string {
  const act = acts.find(({ state }) => state === "UnderWay");
  const canary = split?.canary;
  return [
    ...(act === undefined ? [] : [`${act.title}: ${act.detail}`]),
    ...(split === undefined
      ? []
      : [
          canary === undefined
            ? `${split.stable} 100 %`
            : `${split.stable} ${100 - canary.weightPercent} % / ${canary.weightPercent} % ${canary.version}`,
        ]),
    `${Math.round(recent.perSecond)}/s p50 ${ms(recent.p50)} p99 ${ms(recent.p99)}`,
    `sent ${sent} lost ${lost}`,
  ].join("  |  ");
}

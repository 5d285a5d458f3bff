import { copyFile, cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { readHeldOut } from "./demo/images.ts";
import { Live } from "./demo/live.ts";
import { Load } from "./demo/load.ts";
import { exitCodeOf, outcomeLine } from "./demo/outcome.ts";
import { openScreen } from "./demo/screen.ts";
import { Interrupted, onSignals } from "./demo/signals.ts";
import { Story } from "./demo/story.ts";
import { Up } from "./demo/up.ts";
import { readVersions } from "./demo/versions.ts";

/*
 * Serves a model, sends it real images all the while, replaces it by a better one, and tries three broken ones.
 * Everything happens as a user would do it: `naru up` runs a folder, and a file of that folder is edited.
 */

const EXAMPLES = path.join(import.meta.dirname, "../examples");
const RESOURCES = path.join(EXAMPLES, "demo");
const MODEL = "digits";
/** Enough to judge each step within seconds, little enough for two cores that also run the pods. */
const RATE = { clients: 16, perSecond: 150 };

process.exitCode = await demo();

async function demo(): Promise<number> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const images = readHeldOut(path.join(EXAMPLES, "digits/held-out/optdigits-held-out.csv"));
  const folder = await mkdtemp(path.join(tmpdir(), "naru-demo-"));
  const file = path.join(folder, `${MODEL}.yaml`);
  await cp(path.join(EXAMPLES, "digits/models"), path.join(folder, "models"), { recursive: true });
  await copyFile(path.join(RESOURCES, "v1.yaml"), file);

  const ending = new AbortController();
  const up = new Up(folder, MODEL, (error) => ending.abort(error));
  onSignals((reason) => {
    if (ending.signal.aborted) up.interrupt();
    ending.abort(reason);
  });
  const story = new Story();
  let load: Load | undefined;
  const startLoad = (address: string) => {
    load = new Load({ address, model: MODEL, images, ...RATE });
    return load;
  };
  const sources = { story, up, load: () => load, versionOf: readVersions(RESOURCES), seconds };
  const live = new Live(sources, openScreen(process.stdout));

  let failure: unknown;
  try {
    await story.play({ resources: RESOURCES, file, up, startLoad, signal: ending.signal });
  } catch (error) {
    // What was waited for says only that it was given up; the signal knows why.
    failure = ending.signal.aborted ? ending.signal.reason : error;
  }
  await load?.stop();
  await live.stop();
  await up.stop();
  await rm(folder, { recursive: true, force: true });

  for (const reason of load?.reasons ?? []) console.error(`lost: ${reason}`);
  if (failure instanceof Interrupted) {
    console.error("demo: stopped before its end; nothing of it runs any more");
    return failure.exitCode;
  }
  if (failure !== undefined) console.error(failure instanceof Error ? failure.message : failure);
  const { sent, lost } = load ?? { sent: 0, lost: 0 };
  const outcome = { ...story.shown, requests: sent, lost, seconds: seconds() };
  console.log(outcomeLine(outcome));
  return exitCodeOf(outcome);
}

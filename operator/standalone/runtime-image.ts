import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Images } from "./supported.ts";

/**
 * The image that the operator is told to deploy in standalone. It is never pulled: it stands for the runtimes of
 * this very installation, `runtimes/main`, whatever its tag, so that a revision kept from an earlier version runs.
 */
export const RUNTIME_IMAGE = "naru.dev/runtime:standalone";

const extension = path.extname(import.meta.url);
const main = fileURLToPath(new URL(`../../runtimes/main${extension}`, import.meta.url));

export const runtimeImages: Images = (image) =>
  image.split(/[:@]/)[0] === "naru.dev/runtime" ? main : undefined;

import { NaruError } from "../../lib/errors.ts";

/** Where and as whom the API server is to be asked can't be told. */
export function unusable(what: "kubeconfig" | "service account", why: string, cause?: unknown): NaruError {
  return new NaruError({
    code: "KubeConfigUnusable",
    message: `the ${what} can't be used: ${why}`,
    remedy:
      "name a kubeconfig that kubectl can use, or run in a pod that a service account's token and ca.crt are mounted into",
    cause,
  });
}

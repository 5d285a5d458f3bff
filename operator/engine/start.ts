import { Controller, type ControllerOptions } from "./controller.ts";
import type { ControlledKind } from "./kind.ts";

export interface EngineOptions extends Omit<ControllerOptions<unknown>, "kind"> {
  kinds: readonly ControlledKind<unknown>[];
}

/**
 * Runs several kinds on one cluster. Resolves when all of them have listed what is there and have begun; `stop`
 * resolves when no reconcile is under way any more.
 */
export async function startControllers({
  kinds,
  ...options
}: EngineOptions): Promise<{ stop(): Promise<void> }> {
  const controllers = kinds.map((kind) => new Controller({ ...options, kind }));
  const stop = async (): Promise<void> => {
    await Promise.all(controllers.map((controller) => controller.stop()));
  };
  try {
    await Promise.all(controllers.map((controller) => controller.start()));
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { stop };
}

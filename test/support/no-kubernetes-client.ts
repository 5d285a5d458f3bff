import { registerHooks } from "node:module";

/** Loaded ahead of a program (`node --import`) that must not load Kubernetes' client: its import fails. */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith("@kubernetes/client-node")) {
      throw new Error(`${context.parentURL} loads Kubernetes' client`);
    }
    return next(specifier, context);
  },
});

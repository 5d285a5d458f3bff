import type { PodSecurityContext, SecurityContext } from "kubernetes-types/core/v1.js";

/** Naru's own containers pass the `restricted` Pod Security Standard. */
export const RESTRICTED: SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};

/** A volume that outlives the pod (a cache claim) is made writable for this group, whatever user the image has. */
const GROUP = 65_532;

export const RESTRICTED_POD: PodSecurityContext = {
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
  fsGroup: GROUP,
  fsGroupChangePolicy: "OnRootMismatch",
};

/**
 * What can be kept of it for a user's own image. Servers of the field (Triton, vLLM) run as root and write beside
 * their programs, so user and file system stay the image's.
 */
export const USER_CONTAINER: SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

export const USER_POD: PodSecurityContext = { seccompProfile: { type: "RuntimeDefault" } };

import { z } from "zod";

/** Field types that several kinds share. Every string, list and map is bounded (CEL cost, etcd's object size). */

export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

export const dnsSubdomain = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

export const sha256 = z
  .string()
  .length(64)
  .regex(/^[0-9a-f]{64}$/);

export const modelUri = z
  .string()
  .min(8)
  .max(2048)
  .regex(/^(https|s3|oci|nats|file):\/\/.+$/);

/** An image pinned by digest: what runs is what was reviewed. */
export const pinnedImage = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^@\s]+@sha256:[0-9a-f]{64}$/);

export const image = z.string().min(1).max(512).regex(/^\S+$/);

/** A number in decimal notation: floats are not used in a spec, since they do not survive a round trip. */
export const decimal = z
  .string()
  .min(1)
  .max(32)
  .regex(/^-?[0-9]{1,15}(\.[0-9]{1,15})?$/);

export const labelKey = z.string().min(1).max(317);
export const labelValue = z.string().max(63);
export const labels = z.record(labelKey, labelValue);

/** A Kubernetes quantity; an integer is accepted as well, as Kubernetes does. */
export const quantity = z
  .union([z.int(), z.string().min(1).max(32)])
  .meta({ "x-kubernetes-int-or-string": true, pattern: "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$" });

export const port = z.int().min(1).max(65535);
export const percent = z.int().min(0).max(100);

/** A file inside a directory: relative, no `..`, no backslash. */
export const relativePath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^([A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]*$/);

export const tensorName = z.string().min(1).max(256).regex(/^\S+$/);

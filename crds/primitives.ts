import { z } from "zod";
import { withRules } from "./rules.ts";

/**
 * Field types that several kinds share. Every string, list and map is bounded (CEL cost, etcd's object size).
 * Patterns mean the same in JavaScript and in RE2, which the API server uses: no `.`, no `\s`, no look-around.
 */

export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "must be lower-case letters, digits and '-', as a DNS label");

/**
 * DNS labels with dots between them: runs of letters and digits, parted by dashes or by one dot. Without a backslash,
 * which CEL would read as its own.
 */
const SUBDOMAIN = "[a-z0-9]+((-+|[.])[a-z0-9]+)*";

export const dnsSubdomain = z
  .string()
  .min(1)
  .max(253)
  .regex(
    new RegExp(`^${SUBDOMAIN}$`),
    "must be lower-case letters, digits and '-', with single dots between them, as a DNS name",
  );

/** A key in a ConfigMap or a Secret. Neither `.` nor `..` nor what begins with two dots: those would be no file. */
export const dataKey = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$/,
    "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.'",
  );

/** Longer strings than a digest pass the bound, so that a digest with a prefix gets the rule's message. */
export const sha256 = withRules(z.string().max(128), [
  {
    cel: "self.matches('^[0-9a-f]{64}$')",
    message: "sha256: this is not a digest: give 64 lower-case hex digits, as sha256sum prints them",
    holds: (value) => /^[0-9a-f]{64}$/.test(value),
  },
]);

export const modelUri = z
  .string()
  .max(2048)
  .regex(
    /^(https|s3|oci|nats|file):\/\/\S+$/,
    "must begin with https://, s3://, oci://, nats:// or, in standalone, file://",
  );

/** An image pinned by digest: what runs is what was reviewed. */
export const pinnedImage = withRules(z.string().min(1).max(512), [
  {
    cel: "self.matches('^[^@\\\\t\\\\n\\\\f\\\\r ]+@sha256:[0-9a-f]{64}$')",
    message: "image: it must be pinned by digest: write NAME@sha256:DIGEST with 64 lower-case hex digits",
    holds: (value) => /^[^@\t\n\f\r ]+@sha256:[0-9a-f]{64}$/.test(value),
  },
]);

export const image = z.string().min(1).max(512).regex(/^\S+$/, "must be an image reference without spaces");

/** A number in decimal notation: floats are not used in a spec, since they do not survive a round trip. */
export const decimal = z
  .string()
  .max(32)
  .regex(/^-?[0-9]{1,15}(\.[0-9]{1,18})?$/, 'must be a decimal number in quotes, such as "0.5"');

/** A Kubernetes quantity; an integer is accepted as well, as Kubernetes does. */
export const quantity = z
  .union(
    [
      z.int().min(0),
      z
        .string()
        .max(32)
        .regex(/^[0-9]{1,18}(\.[0-9]{1,9})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?[0-9]{1,2})?$/),
    ],
    'must be a quantity, such as 2, "500m" or "4Gi"',
  )
  .meta({ "x-kubernetes-int-or-string": true });

export const port = z.int().min(1).max(65535);
export const percent = z.int().min(0).max(100);

/** A file inside a directory: relative, no `..`, no backslash. */
export const relativePath = z
  .string()
  .min(1)
  .max(512)
  .regex(
    /^([A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]*$/,
    "must be a relative path whose parts begin with a letter, a digit or '_'",
  );

export const tensorName = z.string().min(1).max(256).regex(/^\S+$/, "must be a tensor name without spaces");

/**
 * A map with bounded keys. JSON Schema's `propertyNames` does not exist in a structural schema, so the keys are
 * bounded by CEL; `maxProperties` is the schema's own.
 * @param key pattern and longest length of a key; the pattern's meaning is told by `key.hint`
 */
function boundedMap<V extends z.ZodType>(
  key: { maxLength: number; pattern: string; hint: string },
  value: V,
  maxEntries: number,
) {
  const counted = z
    .record(z.string(), value)
    .refine((map) => Object.keys(map).length <= maxEntries, `must have at most ${maxEntries} entries`)
    .meta({ maxProperties: maxEntries });
  const pattern = new RegExp(key.pattern);
  return withRules(counted, [
    {
      cel: `self.all(k, size(k) <= ${key.maxLength} && k.matches('${key.pattern}'))`,
      message: `a key is not valid: ${key.hint}`,
      holds: (map) =>
        Object.keys(map).every((name) => [...name].length <= key.maxLength && pattern.test(name)),
    },
  ]);
}

const NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";

/** A qualified name (labels, annotations): an optional DNS prefix and `/`, then up to 63 characters. */
const qualifiedName = {
  maxLength: 317,
  pattern: `^(${SUBDOMAIN}/)?${NAME}$`,
  hint: "write name or prefix/name, the name at most 63 characters",
};

/** What a container may ask for: Kubernetes' own resources, and those that a device plug-in names with its domain. */
const resourceName = {
  maxLength: 317,
  pattern: `^(cpu|memory|ephemeral-storage|hugepages-[0-9]{1,9}[KMGT]i|${SUBDOMAIN}/${NAME})$`,
  hint: "write cpu, memory, ephemeral-storage, hugepages-2Mi or domain/name, such as nvidia.com/gpu",
};

export const labelKey = z
  .string()
  .max(qualifiedName.maxLength)
  .regex(new RegExp(qualifiedName.pattern), `must be a label key: ${qualifiedName.hint}`);
export const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    "must be a label value: letters, digits, '-', '_' and '.'",
  );
export const labels = boundedMap(qualifiedName, labelValue, 64);
export const annotations = boundedMap(qualifiedName, z.string().max(4096), 64);
export const resourceList = boundedMap(resourceName, quantity, 32);

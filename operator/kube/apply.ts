import { ClusterError } from "../engine/cluster.ts";
import type { KubeObject } from "../engine/objects.ts";
import { type ApiClient, applyPatch, type Json } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import { pathOf, type Resource } from "./discovery.ts";
import { withoutManagedFields } from "./kind-source.ts";

export const FIELD_MANAGER = "naru-operator";

/**
 * Server-side apply by force, that knows from whom it took a field. It is sent without force first: that is the whole
 * cost where nobody else holds a field with another value, and where somebody does, the server's refusal names them,
 * exactly. (A cache that keeps `managedFields` would answer from a moment ago, and weigh more.)
 * @throws ApiError; what `gate` throws
 */
export async function applyObject(
  client: ApiClient,
  resource: Resource,
  object: KubeObject,
  gate: () => void,
): Promise<{ object: KubeObject; takenFrom: readonly string[] }> {
  const { namespace, name } = object.metadata;
  if (resource.namespaced !== (namespace !== undefined)) {
    const scope = resource.namespaced ? "needs a namespace" : "has no namespace";
    throw new ClusterError("Invalid", `${object.kind} ${name}: the kind ${scope}`);
  }
  const path = pathOf(resource, namespace, name);
  const body = toSend(object);
  const send = async (force: boolean): Promise<KubeObject> => {
    // A field that the server does not know is refused all the same: no typed patch can be made of it. To have that
    // looked for as well, as servers do by default, costs a second reading of the body, a twentieth of what a write costs.
    const query = { fieldManager: FIELD_MANAGER, fieldValidation: "Ignore", force };
    const answer = await client.request("PATCH", path, { body, contentType: applyPatch, query, gate });
    return withoutManagedFields(answer as Json as KubeObject);
  };
  try {
    return { object: await send(false), takenFrom: [] };
  } catch (thrown) {
    const takenFrom = managersOf(thrown);
    if (takenFrom.length === 0) throw asRefusal(thrown);
    return { object: await send(true), takenFrom };
  }
}

/** What the server sets itself, and status, which has its own way, are no part of what is applied. */
function toSend({ status: _, ...object }: KubeObject): Json {
  const { managedFields, creationTimestamp, generation, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** The managers named in a refusal for conflicts between them; none for any other error. */
function managersOf(thrown: unknown): string[] {
  if (!(thrown instanceof ApiError) || thrown.code !== "Conflict") return [];
  const managers = thrown.causes
    .filter(({ reason }) => reason === "FieldManagerConflict")
    .map(({ message = "" }) => /^conflict with "((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? message);
  return [...new Set(managers)].sort();
}

/** A field that the server's schema doesn't have is answered with 500, which no retry mends. */
function asRefusal(thrown: unknown): unknown {
  const untyped = thrown instanceof ApiError && /failed to create typed patch object/.test(thrown.message);
  if (!untyped) return thrown;
  return new ApiError("Invalid", thrown.message, { status: thrown.status, cause: thrown });
}

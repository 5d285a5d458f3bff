import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates } from "../../support/certificates.ts";
import { RUNTIME_IMAGE } from "./images.ts";
import { openNamespace } from "./kube.ts";

const MODELS = join(import.meta.dirname, "../../../examples/digits/models");
const NAMESPACE = "naru-e2e-models";
const HOST = `models.${NAMESPACE}.svc`;
/** ConfigMap that each test's namespace keeps the authority in. */
export const CA_CONFIG_MAP = "models-ca";

/** Files by name over TLS, with ranges left out: a client has to do without. */
const SERVER = `
const { createServer } = require("node:https");
const { readFile, readFileSync } = require("node:fs");
const { basename, join } = require("node:path");
const tls = { key: readFileSync("/tls/tls.key"), cert: readFileSync("/tls/tls.crt") };
createServer(tls, (request, response) => {
  readFile(join("/models", basename(request.url)), (error, file) => {
    response.writeHead(error ? 404 : 200, { "content-length": file?.length ?? 0 }).end(file);
  });
}).listen(8443);
process.once("SIGTERM", () => process.exit(0));
`;

/** The digits models, served inside the cluster over https by an authority of the tests. Answers its certificate. */
export async function startModelStore(): Promise<string> {
  const namespace = await openNamespace(NAMESPACE);
  const folder = await mkdtemp(join(tmpdir(), "naru-e2e-store-"));
  try {
    const { caFile, key, cert } = await makeCertificates(folder, [`DNS:${HOST}`]);
    const base64 = (bytes: Buffer) => bytes.toString("base64");
    const binaryData: Record<string, string> = {};
    for (const file of await readdir(MODELS)) binaryData[file] = base64(await readFile(join(MODELS, file)));
    const labels = { app: "models" };
    const metadata = { name: "models" };
    await namespace.serverSideApply(
      { apiVersion: "v1", kind: "ConfigMap", metadata, binaryData },
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata,
        type: "kubernetes.io/tls",
        data: { "tls.key": base64(key), "tls.crt": base64(cert) },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata,
        spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
      },
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata,
        spec: {
          selector: { matchLabels: labels },
          template: {
            // Another authority than before: what serves the old one is replaced.
            metadata: { labels, annotations: { certificate: digest(cert) } },
            spec: {
              containers: [
                {
                  name: "models",
                  image: RUNTIME_IMAGE,
                  command: ["node", "--eval", SERVER],
                  readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
                  volumeMounts: [
                    { name: "models", mountPath: "/models" },
                    { name: "tls", mountPath: "/tls" },
                  ],
                },
              ],
              volumes: [
                { name: "models", configMap: { name: "models" } },
                { name: "tls", secret: { secretName: "models" } },
              ],
            },
          },
        },
      },
    );
    await namespace.run(["rollout", "status", "deployment/models", "--timeout", "120s"]);
    return await readFile(caFile, "utf8");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function stopModelStore(): Promise<void> {
  await (await openNamespace(NAMESPACE)).remove();
}

/** `spec.model` of a committed version, fetched from the store by each new pod. */
export function storedModel(version: string): object {
  return {
    uri: `https://${HOST}/${version}.onnx`,
    sha256: digest(readFileSync(join(MODELS, `${version}.onnx`))),
    caBundle: { configMapName: CA_CONFIG_MAP },
  };
}

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

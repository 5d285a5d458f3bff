import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const openssl = promisify(execFile);

export interface Certificates {
  /** Of the authority, PEM. */
  caFile: string;
  key: Buffer;
  /** For the names that were asked for, signed by the authority. */
  cert: Buffer;
}

/** A certificate authority of its own and a server's certificate, made in a temporary folder by openssl. */
export async function makeCertificates(
  folder: string,
  names: readonly string[] = ["DNS:localhost", "DNS:models.test", "IP:127.0.0.1"],
): Promise<Certificates> {
  const at = (name: string) => join(folder, name);
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl("openssl", [
    ...["req", "-x509", ...ec, "-days", "2", "-subj", "/CN=naru test authority"],
    ...["-keyout", at("ca.key"), "-out", at("ca.pem")],
  ]);
  await openssl("openssl", [
    ...["req", ...ec, "-subj", "/CN=localhost", "-keyout", at("server.key"), "-out", at("server.csr")],
  ]);
  await writeFile(at("san"), `subjectAltName=${names.join()}\n`);
  await openssl("openssl", [
    ...["x509", "-req", "-in", at("server.csr"), "-days", "2", "-extfile", at("san")],
    ...["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-out", at("server.pem")],
  ]);
  return {
    caFile: at("ca.pem"),
    key: await readFile(at("server.key")),
    cert: await readFile(at("server.pem")),
  };
}

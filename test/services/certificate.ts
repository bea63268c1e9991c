/** A certificate for a server of a test: of 127.0.0.1 and localhost, signed by itself. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Certificate {
  readonly file: string;
  readonly keyFile: string;
  /** What clients are to trust. */
  readonly pem: string;
}

export async function newCertificate(folder: string): Promise<Certificate> {
  const file = join(folder, "server.crt");
  const keyFile = join(folder, "server.key");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  await promisify(execFile)("openssl", ["req", "-x509", "-days", "2", ...key, ...subject, "-out", file]);
  return { file, keyFile, pem: await readFile(file, "utf8") };
}

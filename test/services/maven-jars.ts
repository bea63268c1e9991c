/**
 * Jars that tests need, Apache Kafka's own and those with which Spark reads Delta tables, resolved by Maven into
 * `.cache/<name>/<version>`: once, and whole or not at all.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./root.ts";

export type MavenJars = { readonly folder: string } | { readonly why: string };

const RESOLVE_MS_MAX = 300_000;

const pomOf = (name: string): string => join(root, "scripts", "services", name, "pom.xml");

/** Of what the jars are for. */
export async function versionOf(name: "kafka" | "spark"): Promise<string> {
  return /<\w+\.version>([^<]+)</.exec(await readFile(pomOf(name), "utf8"))![1]!;
}

/** Of the version that the POM in `scripts/services/<name>` names. `mvn` is needed when they are not there yet. */
export async function mavenJars(name: "kafka" | "spark", mvn: string | null = "mvn"): Promise<MavenJars> {
  const pom = pomOf(name);
  const folder = join(root, ".cache", name, await versionOf(name));
  if (existsSync(folder)) return { folder };
  if (mvn === null) return { why: "its jars are not there, and no mvn to resolve them" };
  const pending = `${folder}.${randomUUID()}.pending`;
  await mkdir(pending, { recursive: true });
  try {
    const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${pending}`];
    await promisify(execFile)(mvn, ["-q", "-B", "-f", pom, ...goal], { timeout: RESOLVE_MS_MAX });
    await rename(pending, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (!existsSync(folder)) throw error;
    });
    return { folder };
  } catch (error) {
    const { stdout = "", message } = error as Error & { readonly stdout?: string };
    const first = stdout.split("\n").find((line) => line.includes("ERROR"));
    return { why: `its jars cannot be resolved by mvn: ${first ?? message}` };
  } finally {
    await rm(pending, { recursive: true, force: true });
  }
}

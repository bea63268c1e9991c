/**
 * Apache Kafka's own jars, resolved by Maven into `.cache/kafka/`: once, and whole or not at all.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./root.ts";

export type KafkaJars = { readonly classPath: string } | { readonly why: string };

const RESOLVE_MS_MAX = 300_000;
const POM = join(root, "scripts", "services", "kafka", "pom.xml");

/** Of the version that the POM names. `mvn` is needed when they are not there yet. */
export async function kafkaJars(mvn: string | null): Promise<KafkaJars> {
  const version = /<kafka\.version>([^<]+)</.exec(await readFile(POM, "utf8"))![1]!;
  const folder = join(root, ".cache", "kafka", version);
  if (existsSync(folder)) return { classPath: join(folder, "*") };
  if (mvn === null) return { why: "its jars are not there, and no mvn to resolve them" };
  const pending = `${folder}.${randomUUID()}.pending`;
  await mkdir(pending, { recursive: true });
  try {
    const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${pending}`];
    await promisify(execFile)(mvn, ["-q", "-B", "-f", POM, ...goal], { timeout: RESOLVE_MS_MAX });
    await rename(pending, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (!existsSync(folder)) throw error;
    });
    return { classPath: join(folder, "*") };
  } catch (error) {
    const { stdout = "", message } = error as Error & { readonly stdout?: string };
    const first = stdout.split("\n").find((line) => line.includes("ERROR"));
    return { why: `its jars cannot be resolved by mvn: ${first ?? message}` };
  } finally {
    await rm(pending, { recursive: true, force: true });
  }
}

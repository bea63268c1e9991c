/**
 * Which records of sources' topics are of forgotten entities: so that who reads a topic again, for a view that is keyed in a new
 * way or after a group's positions are lost, leaves them out. What is kept are places in the topic, and nothing of the entity.
 *
 *     <folder of the tables>/forgotten/<prefix>.<source>/<n>.json       {"<topic id>/<partition>": "<offsets>"}
 *
 * Each forgetting adds a file, and nobody changes one.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, OnefoldError } from "../../base/errors.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { replaceDurably } from "../log-erasure.ts";
import { offsetsText, parseOffsets } from "./forget-records.ts";

/** By `topic id/partition`. */
export type ForgottenOrigins = ReadonlyMap<string, ReadonlySet<number>>;

function folderOf(archiveFolder: string, prefix: string, source: string): string {
  return join(archiveFolder, "forgotten", `${prefix}.${source}`);
}

/** Durable once it resolves. */
export async function keepForgottenOrigins(
  archiveFolder: string,
  prefix: string,
  source: string,
  origins: ForgottenOrigins,
): Promise<void> {
  const folder = folderOf(archiveFolder, prefix, source);
  await mkdir(folder, { recursive: true });
  const texts = Array.from(origins, ([name, offsets]) => [name, offsetsText([...offsets].sort((a, b) => a - b))]);
  await replaceDurably(folder, `${randomUUID()}.json`, Buffer.from(JSON.stringify(Object.fromEntries(texts))));
}

/** Throws `FORGET_UNREADABLE`. */
export async function readForgottenOrigins(
  archiveFolder: string,
  prefix: string,
  source: string,
): Promise<ForgottenOrigins> {
  const folder = folderOf(archiveFolder, prefix, source);
  const names = (await unlessAbsent(folder, readdir(folder))) ?? [];
  const all = new Map<string, Set<number>>();
  for (const name of names.filter((each) => each.endsWith(".json") && !each.startsWith("."))) {
    const path = join(folder, name);
    try {
      for (const [partition, text] of Object.entries(JSON.parse(await readFile(path, "utf8")) as object)) {
        const offsets = all.get(partition) ?? new Set<number>();
        for (const offset of parseOffsets(String(text))) offsets.add(offset);
        all.set(partition, offsets);
      }
    } catch (cause) {
      throw new OnefoldError("FORGET_UNREADABLE", `what was forgotten cannot be read: ${messageOf(cause)}`, {
        where: path,
        hint: "let it be read again: without it events of forgotten entities would be taken once more",
        cause,
      });
    }
  }
  return all;
}

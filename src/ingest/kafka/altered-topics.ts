/**
 * Settings of internal topics that are other for a while. What a topic had of its own before is written down first, beside the
 * offline tables, and goes once it is put back: so whoever gives a command again that was cut short puts back what was there before
 * the first one.
 *
 *     <folder of the tables>/forgotten/<prefix>.settings.json      {"<topic>": {"segment.ms": "600000"}}
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, OnefoldError } from "../../base/errors.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { replaceDurably } from "../log-erasure.ts";
import type { KafkaConnection } from "./connection.ts";

type Connection = Pick<KafkaConnection, "ownTopicSettings" | "alterTopic">;
type Settings = ReadonlyMap<string, string>;

export class AlteredTopics {
  readonly #connection: Connection;
  readonly #folder: string;
  readonly #name: string;

  /** One at a time has a prefix in its hands. */
  constructor(connection: Connection, archiveFolder: string, prefix: string) {
    this.#connection = connection;
    this.#folder = join(archiveFolder, "forgotten");
    this.#name = `${prefix}.settings.json`;
  }

  /** Throws `FORGET_UNREADABLE`. */
  async names(): Promise<readonly string[]> {
    return [...(await this.#read()).keys()];
  }

  /** Until `settle`. */
  async alter(topic: string, settings: Settings): Promise<void> {
    const noted = await this.#read();
    if (!noted.has(topic)) {
      const before = await this.#connection.ownTopicSettings(topic, [...settings.keys()]);
      // An earlier version wrote nothing down, and had nothing of the user's own to put back.
      const isLeft = [...settings].every(([name, value]) => before.get(name) === value);
      await this.#keep(noted.set(topic, isLeft ? new Map() : before));
    }
    await this.#connection.alterTopic(topic, settings);
  }

  /** Puts back what each of the topics had; of one that is there no more only the note goes. */
  async settle(settings: Settings, isThere: (topic: string) => boolean): Promise<void> {
    const noted = await this.#read();
    for (const [topic, before] of Array.from(noted)) {
      if (isThere(topic)) {
        const back = Array.from(settings.keys(), (name) => [name, before.get(name) ?? null] as const);
        await this.#connection.alterTopic(topic, new Map(back));
      }
      noted.delete(topic);
      await this.#keep(noted);
    }
  }

  async #keep(noted: ReadonlyMap<string, Settings>): Promise<void> {
    if (noted.size === 0) return rm(join(this.#folder, this.#name), { force: true });
    await mkdir(this.#folder, { recursive: true });
    const all = Array.from(noted, ([topic, before]) => [topic, Object.fromEntries(before)] as const);
    await replaceDurably(this.#folder, this.#name, Buffer.from(JSON.stringify(Object.fromEntries(all))));
  }

  async #read(): Promise<Map<string, Settings>> {
    const path = join(this.#folder, this.#name);
    try {
      const text = (await unlessAbsent(path, readFile(path, "utf8"))) ?? "{}";
      const all = Object.entries(JSON.parse(text) as Record<string, Record<string, string>>);
      return new Map(all.map(([topic, before]) => [topic, new Map(Object.entries(before))]));
    } catch (cause) {
      throw new OnefoldError("FORGET_UNREADABLE", `settings that topics had cannot be read: ${messageOf(cause)}`, {
        where: path,
        hint: 'let it be read again, or write into it what topics are to have again: {"onefold.payments.by.user":{"segment.ms":"600000"}}, {} for nothing of their own',
        cause,
      });
    }
  }
}

/** Settings of topics, other for a while: they are put back as they were before, however often it was begun. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { AlteredTopics } from "../../../src/ingest/kafka/altered-topics.ts";

const ALTERED = new Map([
  ["cleanup.policy", "compact,delete"],
  ["segment.ms", "2000"],
]);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-altered-topics-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function topicsOf(settings: Record<string, Record<string, string>>) {
  const fault = { after: Number.POSITIVE_INFINITY };
  return {
    fault,
    ownTopicSettings: async (topic: string, names: readonly string[]) =>
      new Map(Object.entries(settings[topic]!).filter(([name]) => names.includes(name))),
    alterTopic: async (topic: string, changes: ReadonlyMap<string, string | null>) => {
      for (const [name, value] of changes) {
        if (value === null) delete settings[topic]![name];
        else settings[topic]![name] = value;
      }
      if (--fault.after < 0) throw new Error("crash");
    },
  };
}

it("are put back by whoever begins again, wherever it was cut short", async () => {
  const before = { one: { "segment.ms": "600000", "retention.ms": "-1" }, two: { "cleanup.policy": "delete" } };
  const settings = structuredClone(before) as Record<string, Record<string, string>>;
  const topics = topicsOf(settings);
  for (const after of [0, 1, 2, 3]) {
    topics.fault.after = after;
    const cut = new AlteredTopics(topics, folder, "onefold");
    const work = async (): Promise<void> => {
      await cut.alter("one", ALTERED);
      await cut.alter("two", ALTERED);
      await cut.settle(ALTERED, () => true);
    };
    await expect(work()).rejects.toThrow("crash");
  }
  topics.fault.after = Number.POSITIVE_INFINITY;
  const last = new AlteredTopics(topics, folder, "onefold");
  await last.alter("one", ALTERED);
  expect(settings["one"]).toEqual({ "cleanup.policy": "compact,delete", "segment.ms": "2000", "retention.ms": "-1" });
  await last.settle(ALTERED, () => true);
  expect(settings).toEqual(before);
  expect(await readdir(join(folder, "forgotten"))).toEqual([]);
});

it("are nothing of the topic's own where an earlier version has left them, and no matter of a topic that is gone", async () => {
  const settings: Record<string, Record<string, string>> = {
    one: { "segment.ms": "2000", "cleanup.policy": "compact,delete" },
    // The user's own, which has one of them alone.
    two: { "segment.ms": "2000" },
  };
  const altered = new AlteredTopics(topicsOf(settings), folder, "onefold");
  await altered.alter("one", ALTERED);
  await altered.alter("two", ALTERED);
  expect(await altered.names()).toEqual(["one", "two"]);
  const noted = JSON.parse(await readFile(join(folder, "forgotten", "onefold.settings.json"), "utf8")) as unknown;
  expect(noted).toEqual({ one: {}, two: { "segment.ms": "2000" } });
  await altered.settle(ALTERED, (topic) => topic !== "one");
  expect(settings["two"]).toEqual({ "segment.ms": "2000" });
  expect(settings["one"]).toEqual({ "segment.ms": "2000", "cleanup.policy": "compact,delete" });
  expect(await altered.names()).toEqual([]);
});

it("are not forgotten where the note of them cannot be read", async () => {
  const altered = new AlteredTopics(topicsOf({ one: {} }), folder, "onefold");
  await altered.alter("one", ALTERED);
  await writeFile(join(folder, "forgotten", "onefold.settings.json"), "{");
  const all = [() => altered.names(), () => altered.alter("one", ALTERED), () => altered.settle(ALTERED, () => true)];
  for (const work of all) await expect(work()).rejects.toMatchObject({ code: "FORGET_UNREADABLE" });
});

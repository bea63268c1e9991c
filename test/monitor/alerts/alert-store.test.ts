/** What alerts keep on disk, and what a crash at each step leaves of it. */
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AlertContent,
  AlertStore,
  EMPTY_ALERTS,
  type HistoryEvent,
} from "../../../src/monitor/alerts/alert-store.ts";

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), "onefold-alerts-"));
const event = (n: number): HistoryEvent => ({ event: "firing", rule: `rule ${n}`, detail: { n } });
const content = (n: number): AlertContent => ({
  ...EMPTY_ALERTS,
  memory: { ...EMPTY_ALERTS.memory, trainedMicros: { rule: n } },
});
const numbers = async (store: AlertStore): Promise<unknown[]> =>
  (await store.history({ limit: 100 })).map(({ detail }) => detail["n"]);

async function filled(count: number): Promise<string> {
  const dataDir = await folder();
  const store = await AlertStore.open(dataDir, 0);
  for (let n = 1; n <= count; n++) await store.change(n, () => ({ content: content(n), events: [event(n)] }));
  return dataDir;
}

describe("the store of alerts", () => {
  it("has what it had when it is opened again, for its user alone", async () => {
    const dataDir = await filled(3);
    const store = await AlertStore.open(dataDir, 0);
    expect(store.content).toEqual(content(3));
    expect(await numbers(store)).toEqual([3, 2, 1]);
    expect(await store.history({ limit: 1, rule: "rule 2" })).toMatchObject([{ sequence: 2, atMicros: 2 }]);
    expect(await store.history({ limit: 9, sinceMicros: 3 })).toHaveLength(1);
    expect((await stat(join(dataDir, "monitor", "alerts"))).mode & 0o077).toBe(0);
  });

  it("writes nothing for what is kept in memory, nor a folder", async () => {
    const dataDir = await folder();
    const store = await AlertStore.open(dataDir, 0);
    await store.change(1, () => ({ content: content(1), events: [], isKeptInMemory: true }));
    expect(store.content).toEqual(content(1));
    expect(await readdir(dataDir)).toEqual([]);
  });

  it("forgets what was appended before a crash and never came to be, whole or torn", async () => {
    for (const left of [
      `${JSON.stringify({ sequence: 4, atMicros: 4, ...event(4) })}\n`,
      `${JSON.stringify({ sequence: 4, atMicros: 4, ...event(4) })}\n{"sequence": 5`,
      '{"sequ',
    ]) {
      const dataDir = await filled(3);
      await appendFile(join(dataDir, "monitor", "alerts", "history.ndjson"), left);
      const store = await AlertStore.open(dataDir, 0);
      expect(await numbers(store)).toEqual([3, 2, 1]);
      await store.change(9, () => ({ content: content(9), events: [event(9)] }));
      expect(await numbers(await AlertStore.open(dataDir, 0))).toEqual([9, 3, 2, 1]);
    }
  });

  it("begins anew where its state is damaged, keeps the damaged file and its history, and says so", async () => {
    const dataDir = await filled(2);
    const path = join(dataDir, "monitor", "alerts", "state.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.slice(0, -20));
    const store = await AlertStore.open(dataDir, 7);
    expect(store.content).toEqual(EMPTY_ALERTS);
    const [lost, ...others] = await store.history({ limit: 10 });
    expect(lost).toMatchObject({ event: "state-lost", sequence: 3, atMicros: 7 });
    expect(others).toHaveLength(2);
    expect(await readFile(`${path}.damaged`, "utf8")).toBe(text.slice(0, -20));
  });

  it("has changed nothing where the state cannot be written, and goes on once it can", async () => {
    const dataDir = await folder();
    const store = await AlertStore.open(dataDir, 0);
    await store.change(1, () => ({ content: content(1), events: [event(1)] }));
    const path = join(dataDir, "monitor", "alerts", "state.json");
    await rm(path);
    await mkdir(path);
    const failing = store.change(2, () => ({ content: content(2), events: [event(2)] }));
    await expect(failing).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(store.content).toEqual(content(1));
    expect(await numbers(store)).toEqual([1]);
    await rmdir(path);
    await store.change(3, () => ({ content: content(3), events: [event(3)] }));
    expect(await numbers(store)).toEqual([3, 1]);
    expect(await numbers(await AlertStore.open(dataDir, 0))).toEqual([3, 1]);
  });

  it("makes one change after the other, whoever asks", async () => {
    const dataDir = await folder();
    const store = await AlertStore.open(dataDir, 0);
    const add = (): Promise<void> =>
      store.change(0, ({ memory, ...rest }) => ({
        content: { ...rest, memory: { ...memory, trainedMicros: { rule: (memory.trainedMicros["rule"] ?? 0) + 1 } } },
        events: [event(0)],
      }));
    await Promise.all(Array.from({ length: 20 }, add));
    expect((await AlertStore.open(dataDir, 0)).content).toEqual(content(20));
  });
});

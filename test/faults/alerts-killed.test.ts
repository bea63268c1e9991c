/**
 * A process that judges alerts is killed at random moments, and the receiver fails at random: every change that the history
 * has was told, in its order, each under one id.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import {
  type HistoryEntry,
  readAlertContent,
  readAlertHistory,
  alertFolder,
} from "../../src/monitor/alerts/alert-store.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { openReceiver, until } from "../monitor/alerts/receiver.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const KILLS = Number(process.env["ONEFOLD_KILLS"] ?? 10);
const SUBJECTS = ["a", "b", "c"];

async function start(dataDir: string, url: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("alerts-process.mjs", import.meta.url));
  const child = spawn(process.execPath, [program, dataDir, url], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout!, "data");
  return child;
}

/** What is said of each subject, in order. */
function bySubject(changes: readonly { readonly event: string; readonly source: string }[]): Record<string, string[]> {
  return Object.fromEntries(
    SUBJECTS.map((subject) => [subject, changes.filter(({ source }) => source === subject).map(({ event }) => event)]),
  );
}

it(`loses no alert and tells none out of order, after ${KILLS} kills (seed ${SEED})`, async () => {
  const random = new SeededRandom(SEED);
  const dataDir = await mkdtemp(join(tmpdir(), "onefold-alerts-killed-"));
  const receiver = await openReceiver();
  /** Notices in the order in which they were first taken. */
  const taken = new Map<string, { readonly event: string; readonly sources: readonly string[] }>();
  let isWell = false;
  receiver.answer = (response, { headers, json }) => {
    const chance = isWell ? 1 : random.next();
    if (chance < 0.2) return void response.writeHead(500).end();
    // It has it, and nobody hears so.
    const id = String(headers["webhook-id"]);
    const found = json["found"] as { subject: { source: string } }[];
    if (!taken.has(id))
      taken.set(id, { event: String(json["event"]), sources: found.map(({ subject }) => subject.source) });
    if (chance < 0.35) return void response.destroy();
    response.writeHead(204).end();
  };
  const world: Record<string, boolean> = {};
  const show = async (): Promise<void> => {
    await writeFile(join(dataDir, "world.new"), JSON.stringify(world));
    await rename(join(dataDir, "world.new"), join(dataDir, "world.json"));
  };
  const toggle = async (): Promise<void> => {
    world[SUBJECTS[random.integer(0, 2)]!] = random.next() < 0.5;
    await show();
  };
  await show();
  let child = await start(dataDir, receiver.url);
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      for (let step = random.integer(2, 8); step > 0; step--) {
        await toggle();
        await delay(random.integer(0, 120));
      }
      child.kill("SIGKILL");
      await once(child, "exit");
      child = await start(dataDir, receiver.url);
    }
    isWell = true;
    for (const subject of SUBJECTS) world[subject] = false;
    await show();
    const isOver = async (): Promise<boolean> => {
      const { content } = await readAlertContent(dataDir);
      return content.outbox.length === 0 && content.memory.states.every(({ phase }) => phase !== "firing");
    };
    await until(isOver, "the outbox to be empty and everything to be resolved");
    child.kill("SIGKILL");
    await once(child, "exit");
    const { sequence } = await readAlertContent(dataDir);
    const entries = await readAlertHistory(alertFolder(dataDir), sequence, { limit: 100_000 });
    const history = entries.toReversed();
    expect(history.map((entry) => entry.sequence)).toEqual(history.map((_, i) => i + 1));
    const changes = history
      .filter(({ event }: HistoryEntry) => event === "firing" || event === "resolved")
      .map(({ event, detail }) => ({ event, source: (detail["subject"] as { source: string }).source }));
    const told = [...taken.values()].flatMap(({ event, sources }) => sources.map((source) => ({ event, source })));
    expect(bySubject(told)).toEqual(bySubject(changes));
    for (const events of Object.values(bySubject(changes))) {
      expect(events).toEqual(events.map((_, i) => (i % 2 === 0 ? "firing" : "resolved")));
    }
    expect(changes.length).toBeGreaterThan(KILLS / 2);
  } finally {
    child.kill("SIGKILL");
    await receiver.close();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}, 400_000);

/** `onefold train`, ended in the middle: by Ctrl-C and by force, and gone on with. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { cliPath, runJson } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-train-"));
const EVENTS = 40_000;
const LABELS = 100_000;

const DEFINITIONS = `
import { count, entity, last, mean, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: { user_id: t.string(), at: t.timestamp(), amount: t.float64(), shop: t.string() },
  eventTime: "at",
});
export const spending = view("spending", {
  version: 1, entity: user, source: payments, online: false,
  features: { n: count().over("1d"), total: sum("amount").over("7d"), usual: mean("amount"), shop: last("shop") },
});
export const model = service("model", { features: [spending] });
`;

const train = (out: string): string[] => [
  "train",
  "--service",
  "model",
  "--labels",
  "labels.parquet",
  "--out",
  out,
  "--inclusive",
  "--resume",
  "--threads",
  "2",
];

function startTrain(out: string): ChildProcess {
  return spawn(process.execPath, [cliPath, ...train(out)], { cwd: folder, stdio: "ignore" });
}

/** Resolves once a part of the set is whole. */
async function firstPart(out: string, child: ChildProcess): Promise<void> {
  const parts = join(folder, `${out}.parts`);
  while (child.exitCode === null) {
    if (existsSync(parts) && readdirSync(parts).some((name) => /^0-\d+\.json$/.test(name))) return;
    await delay(2);
  }
  throw new Error("it ended before a part was seen");
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("close", resolve));
}

beforeAll(async () => {
  writeFileSync(join(folder, "features.ts"), DEFINITIONS);
  const engine = await openDuckDb({ threads: 2 });
  const user = "'u' || (hash(i) % 3000)";
  const at = (rows: number): string =>
    `TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_milliseconds((hash(i + 1) % ${rows})::BIGINT * 1000)`;
  await engine.run(`COPY (SELECT ${user} AS user_id, ${at(4_000_000)} AS at, (i % 1000) / 7.0::DOUBLE AS amount, 's' || i % 9 AS shop
    FROM range(${EVENTS}) r(i)) TO '${join(folder, "events.parquet")}' (FORMAT parquet)`);
  await engine.run(`COPY (SELECT i AS label, ${user} AS user_id, ${at(3_999_000)} AS t FROM range(${LABELS}) r(i))
    TO '${join(folder, "labels.parquet")}' (FORMAT parquet)`);
  await engine.close();
  for (const args of [["apply"], ["ingest", "events.parquet", "--source", "payments"], train("whole.parquet")]) {
    const { exitCode, result } = await runJson(args, folder);
    if (exitCode !== 0) throw new Error(JSON.stringify(result));
  }
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("onefold train", () => {
  it.each([
    ["killed", "SIGKILL"],
    ["ended by Ctrl-C", "SIGINT"],
    ["told to end", "SIGTERM"],
  ] as const)("goes on where it was %s, and no half file is ever there", { timeout: 240_000 }, async (how, signal) => {
    const out = `${how.replaceAll(/\W/g, "-")}.parquet`;
    const child = startTrain(out);
    await firstPart(out, child);
    child.kill(signal);
    const exitCode = await ended(child);
    expect(exitCode).not.toBe(0);
    const left = readdirSync(folder).filter((name) => name.startsWith(out));
    expect(left).toEqual([`${out}.parts`]);
    const { exitCode: code, result } = await runJson(train(out), folder);
    expect(code).toBe(0);
    expect(result).toMatchObject({ out, rows: LABELS });
    expect(readFileSync(join(folder, out)).equals(readFileSync(join(folder, "whole.parquet")))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.startsWith(out))).toEqual([out, `${out}.manifest.json`]);
  });
});

/**
 * Label files that are not as they should be, by the command line and over HTTP, and tables that are joined meanwhile. The
 * cases are those of the Python client's tests, which run them by it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import type { TrainingJob } from "../../src/serve/training-desk.ts";
import { cliPath, runJson } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const here = mostlyHere();

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

interface Case {
  readonly case: string;
  readonly service?: string;
  readonly file: string;
  readonly text: string;
  /** Of the Parquet file that the text is written as, so much is left. */
  readonly cut?: number;
  readonly code?: string;
  readonly says?: string;
  /** What the labels see where they are taken. */
  readonly orders?: readonly number[];
  readonly columns?: readonly string[];
}

const PYTHON_TESTS = new URL("../../clients/python/tests/", import.meta.url);
const CASES = JSON.parse(readFileSync(new URL("bad_labels.json", PYTHON_TESTS), "utf8")) as readonly Case[];
const TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv",
  ndjson: "application/x-ndjson",
  parquet: "application/vnd.apache.parquet",
};
/** Of ada and ben, by the minute from 8 o'clock on. */
const ORDERS = [
  ["ada", 5],
  ["ada", 20],
  ["ben", 25],
  ["ada", 50],
  ["ben", 70],
] as const;

const folder = mkdtempSync(join(tmpdir(), "onefold-bad-labels-"));
let server: ChildProcess | null = null;
let url = "";

beforeAll(async () => {
  copyFileSync(new URL("features.ts", PYTHON_TESTS), join(folder, "features.ts"));
  await here.runCli(["apply"], folder);
  // One file each: there is something to join.
  for (const [i, order] of ORDERS.entries()) {
    writeFileSync(join(folder, "orders.ndjson"), `${JSON.stringify(orderOf(i, order[0], order[1]))}\n`);
    await here.runJson(["ingest", "orders.ndjson", "--source", "orders"], folder);
  }
  const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--training-jobs", "2", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  server = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  ({ url } = JSON.parse(line.toString()) as { url: string });
});
afterAll(async () => {
  if (server !== null && server.exitCode === null) {
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

describe("bad label rows", () => {
  it("are all those of the table in docs/training.md", () => {
    const page = readFileSync(new URL("../../docs/training.md", import.meta.url), "utf8");
    const table = page.split("## Bad label rows")[1]!.split("\n## ")[0]!;
    const rows = [...table.matchAll(/^\| (.+?) \| .+ \|$/gm)].map((match) => match[1]!);
    expect([...new Set(CASES.map((one) => one.case))]).toEqual(rows.slice(1));
  });

  it.each(CASES.map((one, i) => [`${one.case} (${one.file})`, one, i] as const))(
    "%s: the same by the command line and over HTTP",
    async (_, one, i) => {
      const labels = join(folder, `${i}-${one.file}`);
      await writeLabels(labels, one);
      const service = one.service ?? "model";
      const out = join(folder, `${i}.parquet`);
      const [byCli, byHttp] = await Promise.all([
        here.runJson(["train", "--service", service, "--labels", labels, "--out", out], folder),
        asked(`service=${service}`, readFileSync(labels), TYPES[one.file.split(".")[1]!]!),
      ]);
      const { error } = byCli.result;
      if (one.code === undefined) {
        expect([byCli.exitCode, error, byHttp.error]).toEqual([0, undefined, null]);
        for (const file of [out, await downloaded(byHttp, i)]) {
          const rows = await rowsIn(file);
          expect(rows.map((row) => Number(row["orders"]))).toEqual(one.orders);
          if (one.columns !== undefined)
            expect(Object.keys(rows[0]!).slice(0, one.columns.length)).toEqual(one.columns);
        }
        return;
      }
      expect(byCli.exitCode).not.toBe(0);
      expect([error.code, byHttp.error?.code]).toEqual([one.code, one.code]);
      for (const { message, where } of [error, byHttp.error!]) {
        expect(`${message} ${where ?? ""}`).toContain(one.says ?? "");
      }
    },
  );
});

describe("a table that is joined and vacuumed while training sets are made of it", () => {
  it("gives the sets that it gave before", async () => {
    const labels = join(folder, "many.csv");
    const rows = Array.from({ length: 500 }, (_, i) => {
      const minute = String(i % 60).padStart(2, "0");
      return `${i % 3 === 0 ? "ada" : "ben"},2026-03-01T08:${minute}:30Z,${i}`;
    });
    writeFileSync(labels, ["user_id,event_timestamp,price", ...rows].join("\n"));
    const train = async (name: string): Promise<string> => {
      const out = join(folder, `${name}.parquet`);
      const services = ["--service", "model", "--service", "priced"];
      const { exitCode, result } = await runJson(["train", ...services, "--labels", labels, "--out", out], folder);
      expect([name, exitCode, result["error"]]).toEqual([name, 0, undefined]);
      expect(result["manifest"].views.map((view: { name: string }) => view.name)).toEqual(["user_orders"]);
      return sha256Of(readFileSync(out));
    };
    const over = async (name: number): Promise<string> => {
      const job = await asked("service=model", readFileSync(labels), "text/csv");
      expect(job.error).toBeNull();
      return sha256Of(readFileSync(await downloaded(job, name)));
    };
    const [before, overHttp] = [await train("before"), await over(1000)];
    const files = async (): Promise<number> =>
      (await here.runJson(["tables", "files", "events/orders"], folder)).result["files"].length as number;
    const filesBefore = await files();
    const upkeep = async (): Promise<void> => {
      for (const what of ["compact", "vacuum"]) {
        expect((await runJson(["tables", what], folder)).exitCode).toBe(0);
      }
    };
    const made = await Promise.all([train("a"), over(1001), upkeep(), train("b"), over(1002), over(1003)]);
    expect(await files()).toBeLessThan(filesBefore);
    expect(made.filter((sha256) => sha256 !== undefined)).toEqual([before, overHttp, before, overHttp, overHttp]);
    expect([await train("after"), await over(1004)]).toEqual([before, overHttp]);
  });
});

function orderOf(number: number, user: string, minute: number): object {
  return {
    order_id: `o${number}`,
    user_id: user,
    shop: "b",
    account: "7",
    ordered_at: `2026-03-01T${String(8 + Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}:00.000001Z`,
    amount: minute + 0.5,
    items: null,
    is_gift: null,
    receipt: null,
  };
}

async function writeLabels(path: string, { file, text, cut }: Case): Promise<void> {
  if (cut === undefined) return writeFileSync(path, text);
  const csv = `${path}.csv`;
  writeFileSync(csv, text);
  const engine = await openDuckDb({ threads: 1 });
  try {
    await engine.run(`COPY (SELECT * FROM read_csv(${sqlText(csv)})) TO ${sqlText(path)} (FORMAT parquet)`);
  } finally {
    await engine.close();
  }
  const whole = readFileSync(path);
  expect(file).toMatch(/parquet$/);
  writeFileSync(path, whole.subarray(0, Math.floor(cut * whole.length)));
}

async function rowsIn(path: string): Promise<readonly Record<string, unknown>[]> {
  const engine = await openDuckDb({ threads: 1 });
  try {
    return await engine.rows(`SELECT * FROM read_parquet(${sqlText(path)})`);
  } finally {
    await engine.close();
  }
}

/** The job once it is over, or, where it is refused at once, what with. */
async function asked(
  query: string,
  labels: Uint8Array,
  type: string,
): Promise<Pick<TrainingJob, "id" | "state" | "error">> {
  const response = await fetch(`${url}/training-sets?${query}`, {
    method: "POST",
    headers: { "content-type": type },
    body: labels as Uint8Array<ArrayBuffer>,
  });
  let job = (await response.json()) as TrainingJob;
  if (response.status !== 202) return { id: "", state: "failed", error: job.error };
  for (const deadline = performance.now() + 200_000; job.finished_at === null; await delay(100)) {
    if (performance.now() > deadline) throw new Error(`training set ${job.id} is ${job.state}`);
    job = (await (await fetch(`${url}/training-sets/${job.id}`)).json()) as TrainingJob;
  }
  return job;
}

async function downloaded({ id }: Pick<TrainingJob, "id">, name: number): Promise<string> {
  const path = join(folder, `downloaded-${name}.parquet`);
  const response = await fetch(`${url}/training-sets/${id}/download`);
  expect(response.status).toBe(200);
  writeFileSync(path, new Uint8Array(await response.arrayBuffer()));
  return path;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

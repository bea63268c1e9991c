/** `onefold fit` beside a running `onefold serve`, in processes of their own: the server serves the new fit, whole. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";
import { promised } from "../promised.ts";

/** How long a server may go on with the fit before. */
const TAKEN_UP_MS = promised(5000);
const CATEGORIES = 400;

let folder: string;
let server: ChildProcess;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "onefold-fit-beside-"));
  writeFileSync(
    join(folder, "features.ts"),
    `import { entity, last, mean, ordinal, service, standardize, stream, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64(), shop: t.string() },
  eventTime: "paid_at",
});
export const spending = view("spending", {
  entity: user, source: payments, features: { usual: mean("amount"), shop: last("shop") },
});
export const fraud = service("fraud", {
  features: [spending],
  transform: { usual: standardize("usual"), shop: ordinal("shop") },
});
`,
  );
  const rows = Array.from({ length: CATEGORIES }, (_, i) => {
    return { user_id: `u${i}`, paid_at: "2026-01-01T00:00:00Z", amount: i, shop: `shop ${"x".repeat(40)} ${i}` };
  });
  writeFileSync(join(folder, "events.ndjson"), `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);
  const labels = rows.map((row, i) => `${row.user_id},2026-01-02T00:00:00Z,${i < 200 ? "a" : "b"}`);
  writeFileSync(join(folder, "labels.csv"), `user_id,t,part\n${labels.join("\n")}\n`);
  for (const args of [["apply"], ["ingest", "events.ndjson", "--source", "payments"]]) {
    const { exitCode, stderr } = await runCli(args, folder);
    if (exitCode !== 0) throw new Error(stderr);
  }
  server = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(server.stdout!, "data")) as [Buffer];
  ({ url } = JSON.parse(`${line}`) as { url: string });
});

afterAll(async () => {
  const ended = once(server, "close");
  server.kill("SIGTERM");
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly features: { readonly usual: number; readonly shop: number };
  readonly metadata: { readonly fit: number };
  readonly error?: { readonly code: string };
}

async function vector(): Promise<Answer> {
  const response = await fetch(`${url}/services/fraud/vector`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ entities: { user_id: "u399" } }),
  });
  return (await response.json()) as Answer;
}

function fit(part: string): ReturnType<typeof runJson> {
  const labels = ["--labels", "labels.csv", "--split-column", `part=${part}`, "--allow-after-log"];
  return runJson(["fit", "--service", "fraud", ...labels], folder);
}

/**
 * Asks until the answer is of the fit, which `made` brings about; every answer on the way is of a fit that is
 * known, and whole.
 */
async function servedBy(
  version: number,
  made: Promise<{ readonly result: Record<string, unknown> }>,
  known: ReadonlyMap<number, Answer["features"]>,
): Promise<Answer> {
  let until = Number.POSITIVE_INFINITY;
  void made.then(() => (until = Date.now() + TAKEN_UP_MS));
  for (;;) {
    const answer = await vector();
    if (answer.error === undefined && answer.metadata.fit === version) {
      expect((await made).result["fit"]).toBe(version);
      return answer;
    }
    if (known.size > 0) expect(answer.features).toEqual(known.get(answer.metadata.fit));
    else expect(answer.error?.code).toBe("SERVICE_NOT_FITTED");
    if (Date.now() > until) throw new Error(`fit ${version} was not taken up in ${TAKEN_UP_MS} ms`);
    await wait(5);
  }
}

describe("a running server", () => {
  it("serves a fit that another process makes beside it, within seconds and without a restart", async () => {
    expect((await vector()).error?.code).toBe("SERVICE_NOT_FITTED");
    const known = new Map<number, Answer["features"]>();
    const first = await servedBy(1, fit("a"), known);
    // of users 0 to 199: mean 99.5, deviation sqrt((200^2 - 1) / 12); shop 399 is none of theirs
    expect(first.features).toEqual({ usual: (399 - 99.5) / Math.sqrt(39_999 / 12), shop: 200 });
    known.set(1, first.features);
    const second = await servedBy(2, fit("b"), known);
    expect(second.features.usual).toBeCloseTo((399 - 299.5) / Math.sqrt(39_999 / 12), 10);
    known.set(2, second.features);

    // One that is written without care, in two halves, is not served while it is not whole.
    await servedBy(3, fit("a"), known);
    const fits = join(folder, ".onefold", "registry", "fits", "fraud");
    const text = readFileSync(join(fits, "3.json"), "utf8");
    writeFileSync(join(fits, "4.json"), text.slice(0, text.length / 2));
    const until = Date.now() + 2500;
    while (Date.now() < until) {
      expect(await vector()).toMatchObject({ metadata: { fit: 3 }, features: first.features });
      await wait(50);
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^onefold_fits_unread 1$/m);
    rmSync(join(fits, "4.json"));
  });
});

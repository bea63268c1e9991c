/** `onefold drift` beside a running server of several processes, and its page in a real browser. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const DEFINITIONS = `
import { count, entity, last, service, stream, t, view } from "onefold";
export const rider = entity("rider", { rider_id: t.string() });
export const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64(), city: t.string() },
  eventTime: "ended_at",
});
export const riderRides = view("rider_rides", {
  version: 1, entity: rider, source: rides,
  features: { fare: last("fare"), city: last("city"), rides: count() },
});
export const fares = service("fares", { features: [riderRides] });
`;
const RIDERS = 120;

let folder: string;
let server: ChildProcess | null = null;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-drift-cli-"));
  await writeFile(join(folder, "features.ts"), DEFINITIONS);
  await runCli(["apply"], folder);
});

afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

async function serve(...more: string[]): Promise<void> {
  const args = [cliPath, "serve", "--port", "0", "--json", "--drift-sample", "1", ...more];
  server = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(server.stdout!, "data")) as [Buffer];
  ({ url } = JSON.parse(line.toString()) as { url: string });
}

async function stop(): Promise<void> {
  if (server === null || server.exitCode !== null) return;
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  await ended;
}

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), headers });
  expect(response.status, path).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

/** Each rider rides once, and is then read. A worker reads what the owner has flushed. */
async function ride(unit: number, cities: readonly string[]): Promise<void> {
  const now = Date.now();
  const rows = Array.from({ length: RIDERS }, (_, i) => ({
    rider_id: `r${i}`,
    ended_at: { millis: now },
    fare: unit * (8 + ((i * 37) % RIDERS) / 10),
    city: cities[i % cities.length],
  }));
  await post("/events/rides", rows);
  const entities = rows.map(({ rider_id }) => ({ rider_id }));
  await expect
    .poll(
      async () => {
        const { results } = await post("/services/fares/vectors", { entities: [{ rider_id: "r0" }] });
        return (results as { features: { fare: number } }[])[0]!.features.fare;
      },
      { timeout: 60_000 },
    )
    .toBe(rows[0]!.fare);
  await post("/services/fares/vectors", { entities });
}

describe("onefold drift", () => {
  it(
    "beside a server with workers, as text, JSON and a page that a browser shows by itself",
    { timeout: 300_000 },
    async () => {
      await serve("--workers", "2");
      await ride(1, ["bern", "genf", "zug"]);
      await post("/drift/fares/baseline", { source: "last:2h" });
      await stop();
      // What the workers saw last came to the owner while they ended.
      const first = await runJson(["drift", "--service", "fares", "--current", "last:2h"], folder);
      expect(first.exitCode).toBe(0);
      expect(first.result["reports"][0].current.vectors).toBeGreaterThanOrEqual(RIDERS);
      expect(first.result["reports"][0].drifted_features).toBe(0);

      await rm(join(folder, ".onefold", "monitor", "drift", "fares", "0"), { recursive: true });
      await serve();
      await ride(60, ["bern", "genf"]);
      const answered = (await (await fetch(`${url}/drift?service=fares&current=last:2h`)).json()) as Record<
        string,
        any
      >;
      expect(answered["features"].map((one: any) => [one.feature, one.drifted])).toEqual([
        ["fare", true],
        ["city", true],
        ["rides", true],
      ]);
      // The command reads what the server wrote for that answer.
      const page = join(folder, "drift.html");
      const text = await runCli(
        ["drift", "--current", "last:2h", "--feature-measure", "rides=psi:1000", "--html", page],
        folder,
      );
      expect(text.stdout).toContain("fares: 2 of 3 features drifted");
      expect(text.stdout).toMatch(/^! {2}fare +ks /m);
      const listed = await runJson(["features", "--drifting"], folder);
      expect(listed.result["features"].map((one: any) => [one.feature, one.drift.drifting, one.importance])).toEqual([
        ["fare", true, null],
        ["rides", true, null],
        ["city", true, null],
      ]);
      const table = await runCli(["features", "--by", "drift,importance"], folder);
      expect(table.stdout).toMatch(/^fare .* 1, drifting +-$/m);
      const wrong = await runJson(["drift", "--service", "fares", "--measure", "ksi"], folder);
      expect(wrong.result).toMatchObject({ error: { code: "REQUEST_INVALID" } });
      const chosen = await runJson(["drift", "--service", "fares", "--baseline", "last:2h", "--choose"], folder);
      expect(chosen.result).toMatchObject({ service: "fares", baseline: { source: "last:2h" } });
      const quiet = await runJson(["drift", "--current", "last:2h"], folder);
      expect(quiet.result["reports"][0]).toMatchObject({ drifted_features: 0, baseline: { source: "last:2h" } });
      await stop();
      const forgotten = await runJson(["drift", "--service", "fares", "--forget-chosen"], folder);
      expect(forgotten.result).toEqual({ service: "fares", baseline: null });
      await expectShown(page);
    },
  );
});

/** Opened from disk, without a network and without scripts: all is there, in view, and nothing else is asked for. */
async function expectShown(page: string): Promise<void> {
  const browser = await chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext({ offline: true, viewport: { width: 1000, height: 800 } });
    const tab = await context.newPage();
    const asked: string[] = [];
    const complaints: string[] = [];
    tab.on("request", (request) => asked.push(request.url()));
    tab.on("console", (message) => complaints.push(message.text()));
    tab.on("pageerror", (error) => complaints.push(error.message));
    await tab.goto(pathToFileURL(page).href);
    expect(asked).toEqual([pathToFileURL(page).href]);
    expect(complaints).toEqual([]);
    expect(await tab.title()).toBe("Drift of fares");
    const plots = tab.locator("svg");
    expect(await plots.count()).toBe(3);
    for (const plot of await plots.all()) {
      const box = (await plot.boundingBox())!;
      expect(box.width).toBeGreaterThan(300);
      expect(box.height).toBeGreaterThan(60);
    }
    // Bars of both sides, in their colours, with an extent.
    const colours = await tab.evaluate<string[]>(`[...new Set(
      [...document.querySelectorAll('svg [aria-label="rect"] rect, svg [aria-label="bar"] rect')]
        .filter((bar) => bar.getBoundingClientRect().height > 1)
        .map((bar) => getComputedStyle(bar).fill),
    )]`);
    expect(colours.toSorted()).toEqual(["rgb(141, 153, 174)", "rgb(209, 73, 91)"]);
    expect(await tab.locator("h2").innerText()).toContain("2 of 3 features drifted");
    expect(await tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
  } finally {
    await browser.close();
  }
}

function browserPath(): string {
  const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
    existsSync(path),
  );
  if (found !== undefined) return found;
  return execFileSync("sh", ["-c", "command -v chromium || command -v google-chrome"], { encoding: "utf8" }).trim();
}

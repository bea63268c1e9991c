/** `onefold experiments` beside a running server of two workers: ramps, refusals, a shadow compared, exposures trained on. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const DEFINITIONS = `
import { count, entity, experiment, service, stream, sum, t, view } from "onefold";
export const rider = entity("rider", { rider_id: t.string() });
export const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64() },
  eventTime: "ended_at",
});
export const riderRides = view("rider_rides", {
  entity: rider, source: rides, features: { rides: count(), spent: sum("fare") },
});
export const fares = service("fares", { features: [riderRides.pick("rides")] });
export const fares2 = service("fares", { version: 2, features: [riderRides] });
export const trial = experiment("trial", {
  service: [fares, fares2], weights: [100, 0], unit: rider, shadow: { service: fares2, share: 1 },
});
`;
const RIDERS = Array.from({ length: 40 }, (_, i) => `r${i}`);

let folder: string;
let server: ChildProcess;
let url: string;
/** The variant of every answer so far. */
const served: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-experiments-cli-"));
  await writeFile(join(folder, "features.ts"), DEFINITIONS);
  const { exitCode, stderr } = await runCli(["apply"], folder);
  if (exitCode !== 0) throw new Error(stderr);
  server = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json", "--workers", "2"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(server.stdout!, "data")) as [Buffer];
  ({ url } = JSON.parse(line.toString()) as { url: string });
});

afterAll(async () => {
  if (server.exitCode === null) {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** The variant of each rider, over new connections, so that both workers answer. */
async function variants(): Promise<string[]> {
  const answers = await Promise.all(
    RIDERS.map((rider) => call("POST", "/services/trial/vector", { entities: { rider_id: rider } })),
  );
  expect(answers.map(({ status }) => status)).toEqual(RIDERS.map(() => 200));
  const variants = answers.map(({ body }) => body.metadata.variant as string);
  served.push(...variants);
  return variants;
}

function answersOf(variant: string): number {
  return served.filter((one) => one === variant).length;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error("it has not come about within a minute");
    await sleep(100);
  }
}

it("ramp, show, compare and stop an experiment of a running server, and train on what it served", async () => {
  await call(
    "POST",
    "/events/rides",
    RIDERS.map((rider_id) => ({ rider_id, ended_at: new Date().toISOString(), fare: 2.5 })),
  );
  expect(new Set(await variants())).toEqual(new Set(["fares@1"]));

  const ramped = await runJson(["experiments", "ramp", "trial", "--weights", "50,50", "--by", "ada"], folder);
  expect(ramped.exitCode).toBe(0);
  expect(ramped.result["experiment"].variants).toEqual([
    { variant: "fares@1", share: 0.5 },
    { variant: "fares@2", share: 0.5 },
  ]);
  // The server has told its workers before the command ends.
  const half = await variants();
  expect(new Set(half)).toEqual(new Set(["fares@1", "fares@2"]));

  const back = await runJson(["experiments", "ramp", "trial", "--weights", "90,10"], folder);
  expect([back.exitCode, back.result["error"].code]).toEqual([1, "EXPERIMENT_BACKWARD"]);
  const overHttp = await call("POST", "/experiments/trial/ramp", { weights: [90, 10], by: "bob" });
  expect([overHttp.status, overHttp.body.error.code]).toEqual([409, "EXPERIMENT_BACKWARD"]);

  const rampedOverHttp = await call("POST", "/experiments/trial/ramp", { weights: [40, 60], by: "bob" });
  expect(rampedOverHttp.status).toBe(200);
  const more = await variants();
  half.forEach((variant, i) => {
    if (variant === "fares@2") expect(more[i]).toBe("fares@2");
  });

  const shown = await runJson(["experiments", "show", "trial"], folder);
  expect(shown.result["experiment"].steps).toMatchObject([
    { weights: [100, 0], by: null },
    { weights: [50, 50], by: "ada" },
    { weights: [40, 60], by: "bob" },
  ]);
  expect((await runCli(["experiments", "list"], folder)).stdout).toContain("fares@1 40%, fares@2 60%");

  // Workers tell once a second what they compared. What waits for too long is passed over, so others are asked for.
  let compared: any;
  await until(async () => {
    ({ result: compared } = await runJson(["experiments", "compare", "trial"], folder));
    if (compared.comparisons[0]?.compared > 0) return true;
    await variants();
    return false;
  });
  const [{ compared: count, dropped }] = compared.comparisons;
  expect(count + dropped).toBeLessThanOrEqual(answersOf("fares@1"));
  expect(compared.comparisons).toMatchObject([
    {
      served: "fares@1",
      shadow: "fares@2",
      failed: {},
      features: [{ feature: "rides", compared: count, mismatched: 0, only_served: 0, only_in_shadow: 0 }],
      served_alone: [],
      shadow_alone: [{ feature: "spent" }],
    },
  ]);
  expect((await runCli(["experiments", "compare", "trial"], folder)).stdout).toMatch(/^fares@2 beside fares@1, since /);
  expect((await call("GET", "/experiments/trial/compare")).body.comparisons).toHaveLength(1);

  const ofCandidate = answersOf("fares@2");
  await until(async () => {
    const args = ["train", "--exposures", "trial", "--variant", "fares@2", "--out", "candidate.csv"];
    const { exitCode, result } = await runJson(args, folder);
    return exitCode === 0 && result["rows"] === ofCandidate;
  });
  const [header, ...rows] = (await readFile(join(folder, "candidate.csv"), "utf8")).trimEnd().split("\n");
  expect(header!.split(",")).toEqual(["exposed_at", "unit", "variant", "rider_id", "token", "rides", "spent"]);
  for (const row of rows) expect(row).toMatch(/,1,2\.5$/);

  const stopped = await runJson(["experiments", "stop", "trial", "--serve", "fares@1", "--by", "ada"], folder);
  expect(stopped.exitCode).toBe(0);
  expect(new Set(await variants())).toEqual(new Set(["fares@1"]));
  const ended = await runJson(["experiments", "ramp", "trial", "--weights", "0,100"], folder);
  expect(ended.result["error"].code).toBe("EXPERIMENT_STOPPED");
});

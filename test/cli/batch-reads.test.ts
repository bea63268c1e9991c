/** `onefold export` and `onefold get --entities`, beside a server and alone. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { count, entity, openPlatform, service, stream, t, view } from "../../src/index.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const folder = mkdtempSync(join(tmpdir(), "onefold-batch-cli-"));
const dataDir = join(folder, ".onefold");

const user = entity("user", { user: t.int64() });
const visits = stream("visits", { columns: { user: t.int64(), at: t.timestamp() }, eventTime: "at" });
const activity = view("activity", { entity: user, source: visits, features: { visits: count() } });
const definitions = [user, visits, activity, service("home", { features: [activity] })];

beforeAll(async () => {
  const platform = await openPlatform({ dataDir, definitions });
  await platform.apply(definitions);
  const rows = Array.from({ length: 30 }, (_, i) => ({ user: i % 4, at: { millis: Date.now() - i } }));
  await platform.push("visits", rows);
  await platform.settle();
  await platform.close();
  writeFileSync(join(folder, "users.csv"), "user\n3\n9\n3\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const VECTORS = [
  { entities: { user: 3 }, features: { visits: 7 } },
  { entities: { user: 9 }, features: { visits: 0 } },
  { entities: { user: 3 }, features: { visits: 7 } },
];

describe("onefold export", () => {
  it("writes a view's values of all its entities", async () => {
    const { exitCode, result } = await runJson(["export", "activity", "-o", "activity.csv"], folder);
    expect(exitCode).toBe(0);
    expect(result).toEqual({
      out: "activity.csv",
      rows: 4,
      as_of: expect.stringMatching(/Z$/),
      events_folded: 30,
      events_poisoned: 0,
    });
    expect(readFileSync(join(folder, "activity.csv"), "utf8")).toBe("user,visits\n0,8\n1,8\n2,7\n3,7\n");
  });

  it("refuses a folder in the file's place, as `get` does", async () => {
    for (const name of ["taken.csv", "taken.ndjson"]) mkdirSync(join(folder, name));
    const get = ["get", "--service", "home", "--entities", "users.csv"];
    for (const args of [
      ["export", "activity", "-o", "taken.csv"],
      [...get, "-o", "taken.csv"],
      [...get, "-o", "taken.ndjson"],
    ]) {
      const { result } = await runJson(args, folder);
      expect(result).toMatchObject({ error: { code: "REQUEST_INVALID", message: "the file is a folder" } });
    }
  });
});

describe("onefold get --entities", () => {
  it("prints lines of JSON, or writes a file and says so", async () => {
    const { stdout, exitCode } = await runCli(["get", "--service", "home", "--entities", "users.csv"], folder);
    expect(exitCode).toBe(0);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(VECTORS);
    const wrong = await runJson(["get", "--service", "home", "--entities", "users.csv", "--entity", "user=3"], folder);
    expect(wrong.result).toMatchObject({
      error: { code: "REQUEST_INVALID", message: expect.stringContaining("--entity") },
    });
  });

  it("asks a running server, of which it reads the registry alone", async () => {
    const platform = await openPlatform({ dataDir, definitions });
    const server = await platform.serve({ port: 0 });
    try {
      const args = ["get", "--service", "home", "--entities", "users.csv", "-o", "vectors.csv", "--url", server.url];
      const { result } = await runJson(args, folder);
      expect(result).toEqual({ out: "vectors.csv", rows: 3, features: ["visits"] });
      expect(readFileSync(join(folder, "vectors.csv"), "utf8")).toBe("user,visits\n3,7\n9,0\n3,7\n");
    } finally {
      await platform.close();
    }
  });
});

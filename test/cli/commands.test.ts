/**
 * The command line: a project from `init`, real files, a real server. Each command is run as its users run it, built and
 * as a process of its own, once; what else is asked of it, in this process.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lockFolder } from "../../src/base/folder-lock.ts";
import { cliPath, runCli } from "./run-cli.ts";
import { mostlyHere, runHere, runJsonHere } from "./run-here.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-cli-"));
const project = join(folder, "shop");
const inProject = mostlyHere();
const json = (...args: string[]): ReturnType<typeof runJsonHere> => inProject.runJson(args, project);
const text = (...args: string[]): ReturnType<typeof runCli> => inProject.runCli(args, project);
const payments = (): Record<string, unknown>[] =>
  readFileSync(join(project, "events.ndjson"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("onefold, outside a project", () => {
  it("prints its version and its commands", async () => {
    const version = await runCli(["--version"], folder);
    expect(version).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" });
    const help = await runCli(["--help"], folder);
    expect(help.exitCode).toBe(0);
    expect(help.stdout).toContain("dead-letters");
  });

  it("calls a wrong command line wrong, with exit code 2 and the nearest command", async () => {
    const misspelt = await runCli(["tran"], folder);
    expect(misspelt.exitCode).toBe(2);
    expect(misspelt.stderr).toContain("train");
    expect((await runHere(["train", "--service", "fraud"], folder)).exitCode).toBe(2);
    expect((await runHere(["serve", "--port", "many"], folder)).stderr).toContain("0 to 65535");
    const misspeltOption = await runHere(["get", "--servce", "fraud"], folder);
    expect(misspeltOption).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/unknown option '--servce'\n.*--service/),
    });
    const forgotten = await runHere(["get", "--entity", "user_id=ada"], folder);
    expect(forgotten).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("'--service <name>' not specified"),
    });
    expect((await runHere(["get", "--service", "s", "--entity", "ada"], folder)).stderr).toContain("column=value");
  });

  it.each([
    ["http://127.0.0.1:1", "SERVER_UNREACHABLE", "no server answers at http://127.0.0.1:1"],
    ["127.0.0.1", "REQUEST_INVALID", '"127.0.0.1" is not the address of a server'],
  ])("says of %s that no server answers, or that it is no address", async (url, code, message) => {
    const { exitCode, result } = await runJsonHere(
      ["get", "--service", "fraud", "--entity", "a=b", "--url", url],
      folder,
    );
    expect([exitCode, result["error"]]).toMatchObject([1, { code, message }]);
  });

  it("says what is wrong, where and what to do, and shows a stack only on request", async () => {
    const plain = await runCli(["apply"], folder);
    expect(plain.exitCode).toBe(1);
    expect(plain.stdout).toBe("");
    expect(plain.stderr).toMatch(/^DEFINITION_UNREADABLE: .*\n {2}hint: .*onefold init/);
    expect(plain.stderr).not.toMatch(/^\s+at /m);
    expect((await runHere(["apply", "--debug"], folder)).stderr).toMatch(/^\s+at /m);
    expect((await runJsonHere(["apply"], folder)).result).toEqual({
      error: expect.objectContaining({ code: "DEFINITION_UNREADABLE", hint: expect.stringContaining("onefold init") }),
    });
  });
});

describe("onefold, where there is no data folder", () => {
  it.each([
    ["audit"],
    ["features"],
    ["dead-letters", "list"],
    ["get", "--service", "s", "--entity", "a=b"],
    ["train", "--service", "s", "--labels", "l.csv", "--out", "o.csv"],
    ["ingest", "e.ndjson", "--source", "s"],
  ])("%s refuses it, says how to make one, and makes none", async (...args) => {
    const { exitCode, result } = await runJsonHere([...args, "--data", "typo"], folder);
    expect(exitCode).toBe(1);
    expect(result).toMatchObject({
      error: { code: "DATA_FOLDER_MISSING", hint: expect.stringContaining("onefold apply") },
    });
    expect(readdirSync(folder)).not.toContain("typo");
  });
});

describe("onefold, in a project that init wrote", () => {
  beforeAll(async () => {
    const { exitCode } = await runCli(["init", "shop"], folder);
    if (exitCode !== 0) throw new Error("onefold init failed");
  });

  it("does not overwrite a project", async () => {
    const again = await runJsonHere(["init", "shop"], folder);
    expect(again).toMatchObject({ exitCode: 1, result: { error: { code: "REQUEST_INVALID" } } });
  });

  it("plans, applies, and then has nothing to change", async () => {
    expect((await text("plan", "--check")).exitCode).toBe(3);
    expect(readdirSync(project)).not.toContain(".onefold");
    const plan = await json("plan");
    expect(plan).toMatchObject({ exitCode: 0, result: { dirty: true, refused: false } });
    expect((await text("apply")).stdout).toMatch(/^\+ view spending@1[^]*\napplied: 4 added\n$/m);
    expect((await text("plan", "--check")).stdout).toBe("nothing to change\n");
    expect((await text("plan", "--check")).exitCode).toBe(0);
  });

  it("imports history, once", async () => {
    const rows = payments().length;
    expect((await json("ingest", "events.ndjson", "--source", "payments")).result).toMatchObject({
      accepted: rows,
      duplicates: 0,
      rejected: 0,
    });
    expect((await json("ingest", "events.ndjson", "--source", "payments")).result).toMatchObject({
      accepted: 0,
      duplicates: rows,
    });
  });

  it("says which columns of history it passed over, and refuses one that is nearly another", async () => {
    const row = Object.fromEntries(Object.entries(payments()[0]!).filter(([name]) => name !== "country"));
    const write = (more: object): void =>
      writeFileSync(join(project, "odd.ndjson"), JSON.stringify({ ...row, ...more }));
    write({ junk: 1 });
    const odd = ["ingest", "odd.ndjson", "--source", "payments"];
    const { stdout, stderr } = await text(...odd);
    expect(stdout).toBe("0 accepted, 1 duplicates, 0 rejected\n");
    expect(stderr).toContain("passed over: junk\nnot in the file, null: country\n");
    write({ contry: "FR" });
    expect((await json(...odd)).result["error"]).toMatchObject({ code: "COLUMN_UNKNOWN", candidates: ["country"] });
    expect((await json(...odd, "--pass-over", "contry")).result).toMatchObject({ ignoredColumns: ["contry"] });
  });

  it("reads a vector that equals a count by hand", async () => {
    const { result } = await json("get", "--service", "fraud", "--entity", "user_id=ada", "--metadata", "--token");
    const ofAda = payments().filter((payment) => payment["user_id"] === "ada");
    expect(result["features"]["large_payments_7d"]).toBe(
      ofAda.filter((each) => (each["amount"] as number) > 200).length,
    );
    expect(result["features"]["last_country"]).toBe(
      ofAda.map((each) => each["country"]).findLast((country) => country !== null),
    );
    expect(result["metadata"]["features"]["amount_24h"]["status"]).toBe("PRESENT");
    expect(result["metadata"]["token"]).toEqual(expect.any(String));
    const printed = await text("get", "--service", "fraud", "--entity", "user_id=ada");
    expect(printed.stdout).toMatch(/large_payments_7d +\d+/);
  });

  it("names the nearest where a name is wrong", async () => {
    const wrong = await json("get", "--service", "frau", "--entity", "user_id=ada");
    expect(wrong).toMatchObject({ exitCode: 1, result: { error: { code: "SERVICE_UNKNOWN", candidates: ["fraud"] } } });
    const noSource = await json("ingest", "events.ndjson", "--source", "payment");
    expect(noSource).toMatchObject({ exitCode: 1, result: { error: { code: "SOURCE_UNKNOWN" } } });
  });

  it("lists, describes and traces what is registered", async () => {
    expect((await json("entities")).result["entities"]).toMatchObject([{ name: "user", keys: [{ name: "user_id" }] }]);
    expect((await json("views", "--owner", "risk")).result["views"]).toMatchObject([
      { view: "spending@1", features: 6 },
    ]);
    expect((await json("views", "--owner", "nobody")).result["views"]).toEqual([]);
    expect((await json("services")).result["services"]).toMatchObject([{ service: "fraud" }]);
    const features = (await json("features", "--tag", "fraud", "--entity", "user")).result["features"];
    expect(features).toContainEqual(
      expect.objectContaining({ feature: "large_payments_7d", computes: "count() over 7d where amount > 200" }),
    );
    expect((await text("describe", "spending")).stdout).toContain("mean(amount) over 7d");
    expect((await text("describe", "payments")).stdout).toContain("requires amount_is_positive: amount > 0");
    expect((await text("describe", "fraud")).stdout).toContain("spending@1:amount_24h");
    expect((await json("describe", "spendin")).result["error"]["candidates"]).toContain("spending");
    const lineage = (await json("lineage")).result["edges"];
    expect(lineage).toContainEqual({ from: "source:payments", to: "view:spending@1" });
    expect(lineage).toContainEqual({ from: "view:spending@1", to: "service:fraud" });
    expect((await json("lineage", "spending")).result["edges"]).toEqual(lineage);
  });

  it("explains a value by its events", async () => {
    const explained = await json("explain", "spending", "--feature", "large_payments_7d", "--entity", "user_id=ada");
    const large = payments().filter((each) => each["user_id"] === "ada" && (each["amount"] as number) > 200);
    expect(explained.result["value"]).toBe(large.length);
    expect(explained.result["roles"]["counted"]).toBe(large.length);
  });

  it("says in units that people read by how much an event was late", async () => {
    const paidAt = new Date(Date.now() - 2 * 3_600_000).toISOString();
    const row = { payment_id: "late-1", user_id: "lea", paid_at: paidAt, amount: 5 };
    writeFileSync(join(project, "late.ndjson"), `${JSON.stringify(row)}\n`);
    await json("ingest", "late.ndjson", "--source", "payments", "--live");
    const { stdout } = await text("explain", "spending", "--feature", "amount_24h", "--entity", "user_id=lea");
    expect(stdout).toMatch(/ 2h +5 +counted/);
  });

  it("says how a command asks the server that owns the data folder", async () => {
    const lock = await lockFolder(join(project, ".onefold"));
    try {
      const get = await json("get", "--service", "fraud", "--entity", "user_id=ada");
      expect(get.result["error"]).toMatchObject({ code: "STORAGE_LOCKED", hint: expect.stringContaining("--url") });
    } finally {
      await lock.release();
    }
  });

  it("says in which form it reads a time that is a number", async () => {
    writeFileSync(join(project, "millis.csv"), "user_id,event_timestamp\nada,1772323200000\n");
    const { result } = await json("train", "--service", "fraud", "--labels", "millis.csv", "--out", "never.csv");
    expect(result["error"]).toMatchObject({ code: "SPINE_INVALID", hint: expect.stringContaining("ISO 8601") });
  });

  it("builds a training set with every label in order, and asks when times coincide", async () => {
    const labels = readFileSync(join(project, "labels.csv"), "utf8").trim().split("\n");
    const trained = await json("train", "--service", "fraud", "--labels", "labels.csv", "--out", "training.csv");
    expect(trained).toMatchObject({ exitCode: 0, result: { rows: labels.length - 1 } });
    const rows = readFileSync(join(project, "training.csv"), "utf8").trim().split("\n");
    expect(rows).toHaveLength(labels.length);
    expect(rows[1]!.split(",")[0]).toBe(labels[1]!.split(",")[0]);
    const manifest = JSON.parse(readFileSync(join(project, "training.csv.manifest.json"), "utf8"));
    expect(manifest).toMatchObject({ services: [{ name: "fraud" }], knowledge: "as-known" });

    const first = payments()[0]!;
    writeFileSync(join(project, "ties.csv"), `user_id,event_timestamp\n${first["user_id"]},${first["paid_at"]}\n`);
    const ties = ["train", "--service", "fraud", "--labels", "ties.csv", "--out", "ties-out.csv"];
    const tied = await json(...ties);
    expect(tied).toMatchObject({ exitCode: 1, result: { error: { code: "SPINE_AMBIGUOUS_TIME" } } });
    const exclusive = await json(...ties, "--exclusive");
    expect(exclusive.exitCode).toBe(0);
    expect(
      (await text("train", "--service", "f", "--labels", "l", "--out", "o", "--inclusive", "--exclusive")).exitCode,
    ).toBe(2);
  });

  it("says what final knowledge would have changed, and wants to know where a training set goes", async () => {
    const train = ["train", "--service", "fraud", "--labels", "labels.csv"];
    const rows = readFileSync(join(project, "labels.csv"), "utf8").trim().split("\n").length - 1;
    const { result } = await json(...train, "--explain-leakage");
    expect(result).toMatchObject({ services: ["fraud"], rows, out: null });
    expect((result["features"] as unknown[]).length).toBeGreaterThan(2);
    expect((await text(...train, "--explain-leakage")).stdout).toMatch(
      /label rows \(.*%\) would be others[^]*rows changed/,
    );
    expect((await text(...train)).exitCode).toBe(2);
    const ticks = ["train", "--service", "fraud", "--every", "1h", "--entities", "all"];
    const generated = await json(...ticks, "--split", "0.8,0.2", "--out", "ticks.csv");
    expect(generated.result).toMatchObject({ manifest: { spine: { generated: { entities: "all" } } } });
    expect(readFileSync(join(project, "ticks.csv"), "utf8")).toMatch(
      /^user_id,event_timestamp,split,[^]*,train,[^]*,test,/,
    );
    const both = await json(...ticks, "--labels", "labels.csv", "--out", "ticks.csv");
    expect(both).toMatchObject({ exitCode: 1, result: { error: { code: "REQUEST_INVALID" } } });
    const final = await json(...train, "--explain-leakage", "--knowledge", "final");
    expect(final).toMatchObject({ exitCode: 1, result: { error: { code: "REQUEST_INVALID" } } });
  });

  it("corrects and takes back an event by its id", async () => {
    const value = async (): Promise<unknown> =>
      (await json("get", "--service", "fraud", "--entity", "user_id=zoe")).result["features"];
    const before = await value();
    const row = { payment_id: "zoe-1", user_id: "zoe", paid_at: new Date().toISOString(), amount: 5 };
    writeFileSync(join(project, "zoe.ndjson"), `${JSON.stringify(row)}\n`);
    await json("ingest", "zoe.ndjson", "--source", "payments", "--live");
    const five = await value();
    const changed = await json("correct", "payments", "--id", "zoe-1", "--row", JSON.stringify({ ...row, amount: 7 }));
    expect(changed).toMatchObject({ exitCode: 0, result: { corrected: 1, outcomes: [{ status: "replaced" }] } });
    expect(await value()).not.toEqual(five);
    expect((await text("retract", "payments", "--id", "zoe-1")).stdout).toBe("retracted zoe-1\n");
    expect(await value()).toEqual(before);
    const again = await json("retract", "payments", "--id", "zoe-1");
    expect(again).toMatchObject({ exitCode: 1, result: { error: { code: "EVENT_UNKNOWN" } } });
  });

  it("keeps refused rows with their reason, and takes them in when they are replayed", async () => {
    const bad = { payment_id: "bad", user_id: "ada", paid_at: new Date().toISOString(), amount: -1 };
    writeFileSync(join(project, "bad.ndjson"), `${JSON.stringify(bad)}\n`);
    expect((await json("ingest", "bad.ndjson", "--source", "payments", "--live")).result).toMatchObject({
      rejected: 1,
    });
    const letters = (await json("dead-letters", "list", "--source", "payments")).result["dead_letters"];
    expect(letters).toMatchObject([{ code: "CONSTRAINT_FAILED", payload: { payment_id: "bad" } }]);
    expect((await json("dead-letters", "list", "--code", "KEY_MISSING")).result["dead_letters"]).toEqual([]);
    const replayed = await json("dead-letters", "replay", "--source", "payments");
    expect(replayed).toMatchObject({ exitCode: 0, result: { accepted: 0, rejected: 1 } });
    const resolve = ["dead-letters", "resolve", "--source", "payments"];
    expect(await json(...resolve)).toMatchObject({ exitCode: 1, result: { error: { code: "REQUEST_INVALID" } } });
    expect((await json(...resolve, "--code", "KEY_MISSING")).result).toEqual({ resolved: 0 });
    expect((await json(...resolve, "--code", "CONSTRAINT_FAILED", "--view", "spending@1")).result["resolved"]).toBe(0);
    expect((await json(...resolve, "--id", letters[0].id)).result).toEqual({ resolved: 1 });
    expect((await json("dead-letters", "list")).result["dead_letters"]).toEqual([]);
  });

  it("refuses a changed meaning with exit code 3, and builds the next version from all events", async () => {
    const original = readFileSync(join(project, "features.ts"), "utf8");
    const changed = original.replace('count().over("1h")', 'count().over("3d")');
    writeFileSync(join(project, "changed.ts"), changed);
    const refused = await json("apply", "--definitions", "changed.ts");
    expect(refused).toMatchObject({ exitCode: 3, result: { error: { code: "DEFINITION_CHANGED" } } });
    expect((await text("plan", "--definitions", "changed.ts")).stdout).toContain("! view spending@1");

    writeFileSync(join(project, "changed.ts"), changed.replace("version: 1", "version: 2"));
    const preview = await json("preview", "spending@2", "--definitions", "changed.ts", "--sample", "2");
    expect(preview.result["rows"]).toHaveLength(2);
    expect((await json("apply", "--definitions", "changed.ts")).exitCode).toBe(0);
    const { result } = await json(
      "get",
      "--service",
      "fraud",
      "--entity",
      "user_id=ada",
      "--definitions",
      "changed.ts",
    );
    const newest = payments().filter((payment) => payment["user_id"] === "ada");
    expect(result["features"]["payments_1h"]).toBeGreaterThan(newest.length - 3);
  });
});

describe("onefold serve", () => {
  it("serves commands with --url, keeps the folder to itself, stops on SIGTERM, and passes the audit", async () => {
    const server = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--sample", "1", "--json"], {
      cwd: project,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => server.once("close", resolve));
    try {
      const first = await new Promise<string>((resolve) =>
        server.stdout.once("data", (bytes: Buffer) => resolve(`${bytes}`)),
      );
      const { url } = JSON.parse(first) as { url: string };
      const row = { payment_id: "live-1", user_id: "zoe", paid_at: new Date().toISOString(), amount: 7.25 };
      writeFileSync(join(project, "live.csv"), `${Object.keys(row).join()}\n${Object.values(row).join()}\n`);
      const pushed = await json("ingest", "live.csv", "--source", "payments", "--url", url);
      expect(pushed.result).toEqual({ accepted: 1, duplicates: 0, rejected: 0 });
      const vector = await json("get", "--service", "fraud", "--entity", "user_id=zoe", "--url", url);
      expect(vector.result["features"]).toMatchObject({ amount_24h: 7.25, largest_of_last_10: 7.25 });

      const locked = await json("get", "--service", "fraud", "--entity", "user_id=zoe");
      expect(locked).toMatchObject({ exitCode: 1, result: { error: { code: "STORAGE_LOCKED" } } });
      expect((await json("features")).exitCode).toBe(0);
    } finally {
      server.kill("SIGTERM");
    }
    expect(await ended).toBe(0);
    const audit = await json("audit", "--states");
    expect(audit).toMatchObject({ exitCode: 0, result: { vectors: 1, compared: 6, mismatched: 0, clean: true } });
    const gone = await json("get", "--service", "fraud", "--entity", "user_id=zoe", "--url", "http://127.0.0.1:9");
    expect(gone).toMatchObject({ exitCode: 1, result: { error: { hint: expect.stringContaining("onefold serve") } } });
  });

  it("finds a served value that was tampered with: exit code 4", async () => {
    const log = join(project, ".onefold", "serving-log");
    for (const name of readdirSync(log)) {
      const file = join(log, name);
      writeFileSync(file, readFileSync(file, "utf8").replaceAll("7.25", "7.5"));
    }
    const audit = await json("audit");
    expect(audit).toMatchObject({ exitCode: 4, result: { clean: false } });
    expect(audit.result["mismatched"]).toBeGreaterThan(0);
  });
});

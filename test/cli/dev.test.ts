/** `onefold dev`, run as its users run it: a process, real files, saves by rename, mistakes, Ctrl-C. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-dev-")));
const project = join(folder, "shop");
const json = (...args: string[]): ReturnType<typeof runJson> => runJson(args, project);
const text = (...args: string[]): ReturnType<typeof runCli> => runCli(args, project);
let original = "";

/** A running `onefold dev --json`, read cycle by cycle. */
class Dev {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [cliPath, "dev", ...args, "--json"], {
      cwd: project,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
    this.#closed = new Promise((resolve) => this.child.once("close", resolve));
  }

  async cycle(): Promise<Record<string, any>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("onefold dev ended");
    return JSON.parse(value) as Record<string, any>;
  }

  /** As Ctrl-C does. */
  async stop(): Promise<number | null> {
    this.child.kill("SIGINT");
    return this.#closed;
  }
}

let dev: Dev | null = null;
function start(...args: string[]): Dev {
  dev = new Dev(args);
  return dev;
}

/** As editors save: a new file is renamed over the old one. */
function save(name: string, content: string): void {
  writeFileSync(join(project, `${name}.new`), content);
  renameSync(join(project, `${name}.new`), join(project, name));
}

/** Values of a feature by entity in a cycle's first view. */
function valuesOf(cycle: Record<string, any>, feature: string): Record<string, unknown> {
  const { features, rows } = cycle["views"][0].preview;
  const at = features.indexOf(feature);
  return Object.fromEntries(rows.map((row: any) => [row.key, row.values[at]]));
}

beforeAll(async () => {
  const { exitCode } = await runCli(["init", "shop"], folder);
  if (exitCode !== 0) throw new Error("onefold init failed");
  original = readFileSync(join(project, "features.ts"), "utf8");
});
afterEach(async () => {
  await dev?.stop();
  dev = null;
  writeFileSync(join(project, "features.ts"), original);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("onefold dev on a file of events, with no data folder", () => {
  it("previews at every save, marks what differs, answers mistakes with their line and lives on", async () => {
    const running = start("--events", "events.ndjson", "--sample", "3");
    const first = await running.cycle();
    expect(first).toMatchObject({ cycle: 1, notes: [], views: [{ view: "spending@1" }] });
    expect(first["changes"].map(({ change, name }: any) => `${change} ${name}`)).toContain("add spending@1");
    expect(first["views"][0].preview.rows).toHaveLength(3);

    save("features.ts", original.replace('sum("amount").over("24h")', 'sum("amount").over("2h")'));
    const second = await running.cycle();
    expect(second["changes"]).toMatchObject([
      { change: "change", name: "spending@1", details: ["features.amount_24h.aggregation.over: 1d -> 2h"] },
    ]);
    const [before, after] = [valuesOf(first, "amount_24h"), valuesOf(second, "amount_24h")];
    for (const row of second["views"][0].preview.rows) {
      const { key, before: marked } = row;
      expect(marked).toEqual(before[key] === after[key] ? undefined : { amount_24h: before[key] });
    }
    expect(after).not.toEqual(before);

    save("features.ts", `${original}\nexport const oops = ;\n`);
    const line = original.split("\n").length + 1;
    expect(await running.cycle()).toMatchObject({
      cycle: 3,
      error: { code: "DEFINITION_UNREADABLE", where: `${join(project, "features.ts")}:${line}` },
    });

    save("features.ts", original.replace('sum("amount")', 'sum("amuont")'));
    expect(await running.cycle()).toMatchObject({
      error: { code: "DEFINITION_INVALID", where: expect.stringMatching(/features\.ts:25$/) },
    });

    save("features.ts", original);
    const mended = await running.cycle();
    expect(mended["changes"]).toMatchObject([{ details: ["features.amount_24h.aggregation.over: 2h -> 1d"] }]);
    expect(valuesOf(mended, "amount_24h")).toEqual(before);
    expect(await running.stop()).toBe(0);
  });

  it("watches modules that the file imports, and one that was broken or missing from the start", async () => {
    mkdirSync(join(project, "parts"), { recursive: true });
    const [head, rest] = original.split("export const spending");
    writeFileSync(
      join(project, "parts", "sources.ts"),
      head!.replace("export const user", "export const user = ;\nconst u"),
    );
    const names = "col, count, last, max, mean, service, sum, view";
    const features = `import { ${names} } from "onefold";\nimport { payments, user } from "./parts/sources.ts";\nexport const spending${rest}`;
    writeFileSync(join(project, "features.ts"), features);
    const running = start("--events", "events.ndjson", "--view", "spending", "--sample", "1");
    expect(await running.cycle()).toMatchObject({
      error: { code: "DEFINITION_UNREADABLE", where: expect.stringMatching(/parts\/sources\.ts:\d+$/) },
    });
    save("parts/sources.ts", head!);
    expect(await running.cycle()).toMatchObject({ views: [{ view: "spending", preview: { files: { rejected: 0 } } }] });
    save("parts/sources.ts", head!.replace('amount_is_positive: col("amount").gt(0)', 'small: col("amount").lt(50)'));
    const refusing = await running.cycle();
    expect(refusing["changes"]).toMatchObject([{ kind: "stream", name: "payments" }]);
    const { files } = refusing["views"][0].preview;
    expect(files.rejected).toBeGreaterThan(0);
    expect(files.reasons).toEqual([
      { code: "CONSTRAINT_FAILED", rows: files.rejected, first: expect.stringMatching(/events\.ndjson, row \d+: /) },
    ]);
  });

  it("shows people tables, the difference and old -> new, and clears no screen", async () => {
    const once = await text("dev", "--events", "events.ndjson", "--once", "--sample", "2");
    expect(once.exitCode).toBe(0);
    expect(once.stdout).toContain("+ view spending@1  (features.ts:25)");
    expect(once.stdout).toMatch(/^spending@1: 2 entities, \d+ events, as of \S+, \d\.\d\d s$/m);
    const running = spawn(process.execPath, [cliPath, "dev", "--events", "events.ndjson", "--sample", "2"], {
      cwd: project,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let notes = "";
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(output + notes)) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    running.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    running.stderr.on("data", (bytes: Buffer) => (notes += bytes.toString()));
    const closed = new Promise((resolve) => running.once("close", resolve));
    await until(/watching features\.ts \(Ctrl-C stops\)/);
    save("features.ts", original.replace('sum("amount").over("24h")', 'sum("amount").over("48h")'));
    await until(/\d values changed[^]*in all/);
    running.kill("SIGINT");
    expect(await closed).toBe(0);
    expect(output).toContain("    features.amount_24h.aggregation.over: 1d -> 2d");
    expect(output).toMatch(/[\d.]+ -> [\d.]+/);
    expect(output + notes).not.toContain("\u001b");
  });

  it("exits with the error where it runs once", async () => {
    writeFileSync(join(project, "broken.ts"), "export const x = ;\n");
    expect(await json("dev", "--definitions", "broken.ts", "--once", "--events", "events.ndjson")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "DEFINITION_UNREADABLE", where: `${join(project, "broken.ts")}:1` } },
    });
    expect(await json("dev", "--once", "--serve")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "DATA_FOLDER_MISSING" } },
    });
    const without = await json("dev", "--once");
    expect(without.result["views"]).toMatchObject([
      { view: "spending@1", error: { code: "SOURCE_UNKNOWN", hint: expect.stringContaining("--events FILE") } },
    ]);
  });
});

describe("onefold dev on a data folder", () => {
  const draftOf = (definitions: string): string =>
    definitions.replace("version: 1", 'version: "dev"').split("export const fraud")[0]!;

  beforeAll(async () => {
    for (const args of [["apply"], ["ingest", "events.ndjson", "--source", "payments"]]) {
      if ((await text(...args)).exitCode !== 0) throw new Error(`onefold ${args[0]} failed`);
    }
  });

  it("previews a changed registered version, says what apply will want, and takes no lock for it", async () => {
    const running = start("--sample", "2");
    expect((await running.cycle())["changes"]).toEqual([]);
    save("features.ts", original.replace('sum("amount").over("24h")', 'sum("amount").over("2h")'));
    const changed = await running.cycle();
    expect(changed["notes"]).toEqual([
      expect.stringMatching(/spending@1 is registered, .*give it version 2, or "dev"/),
    ]);
    expect(changed["views"]).toMatchObject([{ view: "spending@1", preview: { rows: [{}, {}] } }]);
    expect((await text("apply", "--definitions", "features.ts")).exitCode).toBe(3);
    expect((await json("features")).exitCode).toBe(0);
  });

  it("registers and rebuilds drafts, serves them meanwhile, and previews beside their owner", async () => {
    writeFileSync(join(project, "draft.ts"), draftOf(original));
    const running = start("--definitions", "draft.ts", "--serve", "--port", "0");
    const first = await running.cycle();
    expect(first["drafts"]).toMatchObject({ applied: ["spending@dev"], waiting: {} });
    const ask = async (): Promise<Record<string, unknown>> => {
      const answer = await fetch(`${first["url"]}/features`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          entity_type: "user",
          entity_id: "ada",
          feature_names: ["spending@dev:largest_of_last_10", "largest_of_last_10"],
        }),
      });
      return ((await answer.json()) as { features: Record<string, unknown> }).features;
    };
    const before = await ask();
    expect(before["spending@dev:largest_of_last_10"]).toBe(before["largest_of_last_10"]);

    save("draft.ts", draftOf(original).replace('max("amount").over({ last: 10 })', "count().over({ last: 3 })"));
    const second = await running.cycle();
    expect(second).toMatchObject({ views: [{ view: "spending@dev" }], drafts: { applied: ["spending@dev"] } });
    const after = await ask();
    expect(after).toEqual({ ...before, "spending@dev:largest_of_last_10": 3 });
    expect(valuesOf(second, "largest_of_last_10")["ada"]).toBe(3);

    const beside = await json("dev", "--definitions", "draft.ts", "--once", "--sample", "1");
    expect(beside.result["drafts"]).toMatchObject({
      applied: [],
      waiting: { "spending@dev": expect.stringContaining("another process owns") },
    });
    expect(beside.result["views"]).toMatchObject([{ preview: { rows: [{}] } }]);
    expect(await running.stop()).toBe(0);
  });

  it("registers nothing but drafts: one that needs what is not registered waits, and says for what", async () => {
    const widened = draftOf(original).replace(
      "country: t.string().nullable(),",
      "country: t.string().nullable(),\n    shop: t.string().nullable(),",
    );
    writeFileSync(join(project, "widened.ts"), widened);
    const { result } = await json("dev", "--definitions", "widened.ts", "--once", "--sample", "1");
    expect(result["drafts"]).toMatchObject({
      applied: [],
      waiting: { "spending@dev": "stream payments is not registered as it stands here: run onefold apply once" },
    });
    expect(result["views"]).toMatchObject([{ view: "spending@dev", preview: { rows: [{}] } }]);
    expect((await text("describe", "payments")).stdout).not.toContain("shop");
  });

  it("leaves drafts that `onefold drop` takes away, and numbered versions stay", async () => {
    expect((await json("views")).result["views"]).toMatchObject([{ view: "spending@dev" }, { view: "spending@1" }]);
    expect(await json("drop", "spending@1")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "REQUEST_INVALID", hint: "name a draft, as spending@dev" } },
    });
    expect((await text("drop", "spending@dev")).stdout).toContain("- view spending@dev");
    expect((await json("views")).result["views"]).toMatchObject([{ view: "spending@1" }]);
    expect(await json("drop", "spending@dev")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "VIEW_UNKNOWN" } },
    });
  });
});

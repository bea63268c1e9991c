/**
 * Several servers on one registry in PostgreSQL: what one registers the others serve, whole, and PostgreSQL may go
 * away and come back meanwhile.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import type { Definition, ServiceDefinition } from "../../src/define/definition.ts";
import { count, entity, experiment, onDemand, service, standardize, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { PlatformOptions } from "../../src/platform/platform-options.ts";
import { decodeRegistry } from "../../src/registry/registry-content.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { describeWhere } from "../services/describe-where.ts";
import { HeldImport } from "./held-import.ts";
import { newDatabase, type PostgresServer, startPostgres } from "../services/postgres.ts";
import { promised } from "../promised.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 31);
/** How long a server may go on with what was registered before. */
const NOTICED_MS = promised(2000);
/** The same, from when PostgreSQL is back: it has to be found first. */
const FOUND_MS = promised(5000);

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
const totals = view("totals", { entity: user, source: visits, features: { visits: count(), spent: sum("spent") } });
const visitor = service("visitor", { features: [totals] });
const base: readonly Definition[] = [user, visits, totals, visitor];

const describePostgres = await describeWhere("postgres", { ours: true });

describePostgres("servers that share a registry", () => {
  let postgres: PostgresServer;
  let url: string;
  let folder: string;
  const opened: Platform[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    url = await newDatabase(postgres.url);
    folder = await mkdtemp(join(tmpdir(), "onefold-"));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((platform) => platform.close()));
    await rm(folder, { recursive: true, force: true });
  });

  async function open(name: string, options: Partial<PlatformOptions> = {}): Promise<Platform> {
    const platform = await openPlatform({ dataDir: join(folder, name), registry: url, ...options });
    opened.push(platform);
    return platform;
  }

  async function reopen(platform: Platform, name: string, options: Partial<PlatformOptions> = {}): Promise<Platform> {
    opened.splice(opened.indexOf(platform), 1);
    await platform.close();
    return open(name, options);
  }

  async function push(platform: Platform, visitsOfA: number): Promise<void> {
    const at = new Date(Date.now() - 1000).toISOString();
    await platform.push(
      "visits",
      Array.from({ length: visitsOfA }, () => ({ user_id: "a", at, spent: 2 })),
    );
  }

  async function vector(platform: Platform, name = "visitor"): Promise<Readonly<Record<string, unknown>>> {
    return (await platform.vector(name, { user_id: "a" })).features;
  }

  /** Milliseconds until it is so. */
  async function soon(holds: () => unknown, millisMax: number = NOTICED_MS): Promise<number> {
    const begun = performance.now();
    for (;;) {
      const is = await Promise.resolve()
        .then(holds)
        .catch(() => false);
      const took = performance.now() - begun;
      if (is === true) return took;
      if (took > millisMax) expect.unreachable(`not within ${millisMax} ms`);
      await sleep(5);
    }
  }

  async function ready(platform: Platform): Promise<Readonly<Record<string, unknown>>> {
    return platform.request("GET", "/ready");
  }

  async function refusal(work: Promise<unknown>): Promise<OnefoldError> {
    return work.then(
      () => expect.unreachable("it was accepted"),
      (error: unknown) => error as OnefoldError,
    );
  }

  it("serve what another has registered within 2 seconds, built from their own events, without a restart", async () => {
    const [one, other] = [await open("one"), await open("other")];
    await one.apply(base);
    await soon(async () => (await vector(other))["visits"] === 0);
    await push(other, 3);
    const average = view("average", { entity: user, source: visits, features: { spent_1h: sum("spent").over("1h") } });
    await one.apply([average, service("average", { features: [average] })]);
    await soon(async () => (await vector(other, "average"))["spent_1h"] === 6);
    expect(await vector(one, "average")).toEqual({ spent_1h: null });
    expect(await vector(other)).toEqual({ visits: 3, spent: 6 });
  });

  it("register what a process without a data folder applies, and drop what it drops", async () => {
    const server = await open("server");
    const reader = await open("nowhere", { mode: "read" });
    await reader.apply([
      ...base,
      view("draft", { version: "dev", entity: user, source: visits, features: { n: count() } }),
    ]);
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
    await soon(() => push(server, 2).then(() => true));
    await soon(async () => (await server.features("user", "a", ["draft@dev:n"])).features["draft@dev:n"] !== undefined);
    await reader.dropDraft("draft");
    await soon(() => server.registry.find({ name: "draft" }).length === 0);
    const { code } = await refusal(server.features("user", "a", ["draft@dev:n"]));
    expect(code).toMatch(/UNKNOWN/);
  });

  it("answer by the version that a name was moved to elsewhere, and let go of one that was retired there", async () => {
    const [one, other] = [await open("one"), await open("other")];
    const reader = await open("nowhere", { mode: "read" });
    const wider = view("totals", { version: 2, entity: user, source: visits, features: { seen: count() } });
    await one.apply(base);
    await one.versions.promote("visitor@1", { by: "ada" });
    await one.apply([...base, wider, service("visitor", { version: 2, features: [wider] })]);
    const isAnswered = (platform: Platform, feature: string) => async (): Promise<boolean> =>
      feature in (await vector(platform));
    await soon(async () => "seen" in (await vector(other, "visitor@2")));
    expect(Object.keys(await vector(other))).toEqual(["visits", "spent"]);
    await reader.versions.promote("visitor@2", { from: 1, by: "bob", keep: "0" });
    await soon(isAnswered(one, "seen"));
    await soon(isAnswered(other, "seen"));
    // It has not heard of that yet, and asks for what it knew.
    expect((await refusal(reader.versions.promote("visitor@1", { from: 1, by: "eve" }))).code).toBe("ALIAS_MOVED");
    await one.versions.rollback("visitor", { by: "ada", keep: "0" });
    await soon(isAnswered(other, "visits"));
    await one.versions.promote("visitor@2", { by: "ada", keep: "0" });
    // Who serves nothing knows of no readers, and does not take that for none.
    const elsewhere = await open("nowhere", { mode: "read" });
    const asked = elsewhere.versions.retire("visitor@1", { by: "eve" });
    await expect(asked).rejects.toMatchObject({ code: "STILL_READ" });
    await expect(asked).rejects.toThrow(
      /^visitor@1 cannot be retired:\n {2}who has read it in 7 days is not known here: /,
    );
    const dry = await elsewhere.versions.retire("visitor@1", { by: "eve", dry_run: true });
    expect(dry).toMatchObject({ readers: [], recent_reads: null });
    expect((await one.versions.retire("visitor@1", { by: "ada", dry_run: true })).recent_reads).not.toBeNull();
    await one.versions.retire("visitor@1", { by: "ada", force: true });
    await one.versions.retire("totals@1", { by: "ada", force: true });
    await soon(() => other.registry.views().length === 1);
    await soon(async () => (await refusal(vector(other, "visitor@1"))).code === "SERVICE_UNKNOWN");
    await soon(() => push(other, 2).then(() => true));
    await soon(async () => (await vector(other))["seen"] === 2);
    // The copy that it starts from says of what is missing that it was retired.
    const again = await reopen(other, "other");
    expect((await vector(again))["seen"]).toBe(2);
  });

  it("answer by what another has moved and ramped while they have no turn to build anything", async () => {
    const [one, other] = [await open("one"), await open("other")];
    const wider = service("visitor", { version: 2, features: [totals, totals.pick("visits").prefix("again_")] });
    const trial = experiment("trial", { service: [visitor, wider], weights: [1, 0], unit: user });
    await one.apply([...base, wider, trial]);
    await one.versions.promote("visitor@1", { by: "ada" });
    const names = async (name: string): Promise<string> => Object.keys(await vector(other, name)).join();
    await soon(async () => (await names("visitor")) === "visits,spent");
    const held = new HeldImport(join(folder, "history.ndjson"));
    let isImporting = true;
    const importing = other.importHistory("visits", [held.path]).finally(() => (isImporting = false));
    try {
      // A view is to be built there, too, and waits.
      await one.apply([view("late", { entity: user, source: visits, features: { n: count() } })]);
      await soon(() => other.registry.views().length === 2);
      await one.versions.promote("visitor@2", { by: "ada" });
      await soon(async () => (await names("visitor")) === "visits,spent,again_visits");
      await one.versions.rollback("visitor", { by: "ada" });
      await soon(async () => (await names("visitor")) === "visits,spent");
      await one.experiments.ramp("trial", { weights: [0, 1], by: "ada" });
      await soon(async () => (await names("trial")) === "visits,spent,again_visits");
      expect(isImporting).toBe(true);
    } finally {
      held.letGo([{ user_id: "a", at: "2026-01-01T00:00:00Z", spent: 2 }]);
    }
    await importing;
    // And it is built once it can be.
    await soon(async () => (await other.features("user", "a", ["late:n"])).features["late:n"] === 1, FOUND_MS);
  });

  it("go on answering by the version that a name was moved from while they build the new one", async () => {
    const [one, other] = [await open("one"), await open("other")];
    const wider = view("totals", { version: 2, entity: user, source: visits, features: { seen: count() } });
    await one.apply(base);
    await one.versions.promote("visitor@1", { by: "ada" });
    await soon(async () => (await vector(other))["visits"] === 0);
    const held = new HeldImport(join(folder, "history.ndjson"));
    const importing = other.importHistory("visits", [held.path]);
    try {
      await one.apply([...base, wider, service("visitor", { version: 2, features: [wider] })]);
      await one.versions.promote("visitor@2", { by: "ada" });
      await soon(() => other.registry.aliasMoves().length === 2);
      expect(await vector(one)).toEqual({ seen: 0 });
      expect(await vector(other)).toEqual({ visits: 0, spent: null });
      expect((await refusal(vector(other, "visitor@2"))).code).toBe("NOT_READY");
    } finally {
      held.letGo([{ user_id: "a", at: "2026-01-01T00:00:00Z", spent: 2 }]);
    }
    await importing;
    await soon(async () => (await vector(other))["seen"] === 1, FOUND_MS);
  });

  it("can be closed while they build what another has registered, and go on with it when they are opened again", async () => {
    const one = await open("one");
    let other = await open("other");
    await one.apply(base);
    await soon(async () => (await vector(other))["visits"] === 0);
    const history = join(folder, "history.ndjson");
    const row = JSON.stringify({ user_id: "a", at: "2026-01-01T00:00:00Z", spent: 2 });
    await writeFile(history, `${row}\n`.repeat(20_000));
    await other.importHistory("visits", [history]);
    for (const name of ["first", "second", "third"]) {
      await one.apply([view(name, { entity: user, source: visits, features: { n: count() } })]);
      await soon(() => other.registry.find({ name }).length === 1);
      other = await reopen(other, "other");
      await soon(
        async () => (await other.features("user", "a", [`${name}:n`])).features[`${name}:n`] === 20_000,
        FOUND_MS,
      );
    }
  });

  it("follow an experiment that another has ramped or stopped, and none ramps it back", async () => {
    const [one, other] = [await open("one"), await open("other")];
    const spent = service("spent", { features: [totals.pick("spent")] });
    await one.apply([...base, spent, experiment("trial", { service: [visitor, spent], weights: [1, 0], unit: user })]);
    const variant = async (platform: Platform): Promise<unknown> =>
      (await platform.vector("trial", { user_id: "a" })).metadata["variant"];
    await soon(async () => (await variant(other)) === "visitor@1");
    await one.experiments.ramp("trial", { weights: [0, 1], by: "ada" });
    expect(await variant(one)).toBe("spent@1");
    // Who has not heard of it yet is refused all the same.
    const refused = await refusal(other.experiments.ramp("trial", { weights: [1, 1], by: "bob" }));
    expect(refused.code).toBe("EXPERIMENT_BACKWARD");
    await soon(async () => (await variant(other)) === "spent@1");
    await other.experiments.stop("trial", { serve: "visitor@1", by: "bob" });
    await soon(async () => (await variant(one)) === "visitor@1");
    expect((await one.experiments.show("trial")).steps.map(({ by }) => by)).toEqual([null, "ada", "bob"]);
  });

  it("never serve half of an apply, however many are made at once", async () => {
    const random = new SeededRandom(SEED);
    console.log(`which applies meet is random by seed ${SEED} (ONEFOLD_SEED)`);
    const names = ["s0", "s1", "s2", "s3", "s4"];
    const generation = (n: number): ServiceDefinition[] =>
      names.map((name) => service(name, { features: [totals.prefix(`g${n}_`)] }));
    const server = await open("server");
    const writers = await Promise.all([open("w0", { mode: "read" }), open("w1", { mode: "read" }), open("w2")]);
    await writers[0].apply([...base, ...generation(0)]);
    await soon(async () => Object.keys(await vector(server, "s0")).length === 2);

    const prefixes = (services: readonly { readonly definition: ServiceDefinition }[]): string[] => {
      const ofGeneration = services.filter(({ definition }) => names.includes(definition.name));
      return [
        ...new Set(ofGeneration.flatMap(({ definition }) => definition.features.map(({ as }) => as.split("_")[0]!))),
      ];
    };
    const served = new Set<string>();
    const done = new AbortController();
    const reading = (async () => {
      while (!done.signal.aborted) {
        const [present, ...others] = prefixes(server.registry.services());
        expect(others).toEqual([]);
        served.add(present!);
        // What workers read, as it is at any moment.
        const copy = decodeRegistry(
          await readFile(join(folder, "server", "registry-copy", "registry.json"), "utf8"),
          "",
        );
        const services = copy.definitions as readonly { readonly definition: ServiceDefinition }[];
        expect(prefixes(services)).toHaveLength(1);
        const answer = await vector(server, names[Math.floor(random.next() * names.length)]);
        expect(new Set(Object.keys(answer).map((name) => name.split("_")[0])).size).toBe(1);
      }
    })();
    let generations = 0;
    for (let round = 0; round < 12; round++) {
      const chosen = writers.filter(() => random.next() < 0.7);
      await Promise.all(chosen.map((writer) => writer.apply(generation(++generations))));
      await sleep(random.next() * 60);
    }
    done.abort();
    await reading;
    expect(served.size).toBeGreaterThan(3);
    const [last] = prefixes((await open("late", { mode: "read" })).registry.services());
    await soon(() => prefixes(server.registry.services())[0] === last);
    expect(writers[0].registry.history().length + writers[1].registry.history().length).toBeGreaterThan(2);
    const { history } = (await open("later", { mode: "read" })).registry;
    expect(history.call(opened.at(-1)!.registry)).toHaveLength(generations + 1);
  });

  it("serve on while PostgreSQL is killed, say so, and notice what is registered once it is back", async () => {
    const troubles: (string | null)[] = [];
    const server = await open("server", { onRegistryTrouble: (trouble) => troubles.push(trouble?.code ?? null) });
    const writer = await open("writer", { mode: "read" });
    await writer.apply(base);
    await soon(async () => (await vector(server))["visits"] === 0);
    await postgres.kill();
    await soon(() => troubles.at(-1) === "REGISTRY_UNREACHABLE");
    await push(server, 2);
    expect(await vector(server)).toEqual({ visits: 2, spent: 4 });
    expect(await ready(server)).toEqual({
      status: "ready",
      warnings: [expect.stringMatching(/not taken up: REGISTRY_UNREACHABLE/)],
    });
    expect((await refusal(writer.apply([service("late", { features: [totals] })]))).code).toBe("REGISTRY_UNREACHABLE");
    expect((await refusal(server.apply([service("late", { features: [totals] })]))).code).toBe("REGISTRY_UNREACHABLE");
    await postgres.restart();
    await writer.apply([service("late", { features: [totals] })]);
    await soon(async () => (await vector(server, "late"))["visits"] === 2, FOUND_MS);
    await soon(() => troubles.at(-1) === null);
    await soon(async () => (await ready(server))["warnings"] === undefined);
    expect(troubles).toEqual(["REGISTRY_UNREACHABLE", null]);
  });

  it("start while PostgreSQL is away with what was registered, and take up the rest when it is back", async () => {
    const server = await open("server");
    await server.apply(base);
    await push(server, 1);
    await postgres.kill();
    const again = await reopen(server, "server");
    expect(await vector(again)).toEqual({ visits: 1, spent: 2 });
    expect((await refusal(open("new"))).code).toBe("REGISTRY_UNREACHABLE");
    await postgres.restart();
    await (await open("writer", { mode: "read" })).apply([service("late", { features: [totals] })]);
    await soon(async () => (await vector(again, "late"))["visits"] === 1, FOUND_MS);
  });

  it("refuse a data folder of another registry, and one whose registry is not named", async () => {
    const server = await open("server");
    await server.apply(base);
    opened.pop();
    await server.close();
    const unnamed = await refusal(openPlatform({ dataDir: join(folder, "server") }));
    expect(unnamed.code).toBe("REGISTRY_MISMATCH");
    expect(unnamed.hint).toContain("ONEFOLD_REGISTRY");
    const other = await newDatabase(postgres.url);
    const empty = await refusal(openPlatform({ dataDir: join(folder, "server"), registry: other }));
    expect(empty.message).toContain("totals@1 of this data folder is not what it is in the registry at postgres://127");
    const elsewhere = await openPlatform({ dataDir: join(folder, "elsewhere"), registry: other });
    opened.push(elsewhere);
    const changed = view("totals", { entity: user, source: visits, features: { visits: count().over("1h") } });
    await elsewhere.apply([user, visits, changed]);
    const { code } = await refusal(openPlatform({ dataDir: join(folder, "server"), registry: other }));
    expect(code).toBe("REGISTRY_MISMATCH");
    expect(await vector(await open("server"))).toEqual({ visits: 0, spent: null });
  });

  it("serve on what they had where an older backup was restored, until what it lacks is applied again", async () => {
    const server = await open("server");
    const reader = await open("nowhere", { mode: "read" });
    await reader.apply([user, visits]);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query("CREATE TABLE backup AS SELECT * FROM onefold.registry");
    await reader.apply(base);
    await soon(async () => (await vector(server))["visits"] === 0);
    await client.query(
      "BEGIN; DELETE FROM onefold.registry; INSERT INTO onefold.registry SELECT * FROM backup; COMMIT",
    );
    await client.end();
    await soon(async () => /REGISTRY_MISMATCH: totals@1/.test(String((await ready(server))["warnings"])));
    expect((await refusal(server.apply(base))).code).toBe("REGISTRY_MISMATCH");
    expect(await vector(server)).toEqual({ visits: 0, spent: null });
    await (await open("again", { mode: "read" })).apply([...base, service("late", { features: [totals] })]);
    await soon(async () => (await vector(server, "late"))["visits"] === 0);
    await soon(async () => (await ready(server))["warnings"] === undefined);
  });

  it("take over the definitions of a data folder that had its own registry, with its states", async () => {
    const alone = await openPlatform({ dataDir: join(folder, "server") });
    await alone.apply(base);
    await push(alone, 4);
    await alone.close();
    const server = await open("server");
    expect(server.registry.services()).toEqual([]);
    await server.apply(base);
    expect(await vector(server)).toEqual({ visits: 4, spent: 8 });
    const changed = view("totals", { entity: user, source: visits, features: { visits: count().over("1h") } });
    const other = await newDatabase(postgres.url);
    const elsewhere = await openPlatform({ dataDir: join(folder, "elsewhere"), registry: other });
    opened.push(elsewhere);
    await elsewhere.apply([user, visits, changed]);
    const aloneAgain = await openPlatform({ dataDir: join(folder, "second") });
    await aloneAgain.apply(base);
    await aloneAgain.close();
    const { code } = await refusal(openPlatform({ dataDir: join(folder, "second"), registry: other }));
    expect(code).toBe("REGISTRY_MISMATCH");
  });

  it("load the code again for what others have registered, and go on without it where it is broken", async () => {
    const doubled = (name: string): Definition =>
      onDemand(name, {
        inputs: [totals.pick("visits")],
        outputs: { twice: t.float64() },
        compute: ({ visits: n }) => ({ twice: 2 * Number(n) }),
      });
    const [first, second] = [doubled("first"), doubled("second")];
    const asService = (one: Definition): Definition => service(one.name, { features: [one as never] });
    let code: (() => readonly Definition[]) | null = () => [...base, first];
    const troubles: (string | null)[] = [];
    const server = await open("server", {
      definitions: async () => (code === null ? Promise.reject(new Error("broken")) : code()),
      onRegistryTrouble: (trouble) => troubles.push(trouble?.message ?? null),
    });
    const writer = await open("writer", { mode: "read" });
    await writer.apply([...base, first, asService(first)]);
    await soon(async () => (await vector(server, "first"))["twice"] === 0);
    code = null;
    await writer.apply([second, asService(second), service("plain", { features: [totals] })]);
    await soon(async () => (await vector(server, "plain"))["visits"] === 0);
    expect((await refusal(vector(server, "second"))).code).toBe("FINGERPRINT_MISMATCH");
    expect(await vector(server, "first")).toEqual({ twice: 0 });
    await soon(() => troubles.length > 0);
    expect(troubles).toEqual(["broken"]);
    code = () => [...base, first, second];
    await soon(async () => (await vector(server, "second"))["twice"] === 0);
    await soon(() => troubles.at(-1) === null);
    expect(troubles).toEqual(["broken", null]);
  });

  it("serve a fit that another has made", async () => {
    const scaled = service("scaled", { features: [totals], transform: { spent: standardize("spent") } });
    const [one, other] = [await open("one"), await open("other")];
    await one.apply([...base, scaled]);
    await push(one, 2);
    await soon(() => push(other, 5).then(() => true));
    await one.settle();
    const labels = join(folder, "labels.csv");
    const rows = ["a", "b", "c"].map((id) => `${id},${new Date().toISOString()}`);
    await writeFile(labels, `user_id,at\n${rows.join("\n")}\n`);
    const fitted = await one.fit({
      service: "scaled",
      labels,
      timeColumn: "at",
      split: { share: 1 },
      allowAfterLog: true,
    });
    expect(fitted.version).toBe(1);
    await soon(async () => (await other.vector("scaled", { user_id: "a" }, { metadata: true })).metadata["fit"] === 1);
    expect(other.fits("scaled")).toEqual(one.fits("scaled"));
    expect(existsSync(join(folder, "other", "registry-copy", "fits", "scaled", "1.json"))).toBe(true);
  });
});

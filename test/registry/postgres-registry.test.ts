/** The registry in PostgreSQL: changes by several at once, a server that goes away, and what is said of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { count, sum } from "../../src/define/aggregation-builder.ts";
import { experiment } from "../../src/define/experiment.ts";
import { service } from "../../src/define/service.ts";
import { view } from "../../src/define/view.ts";
import { PostgresClient } from "../../src/registry/postgres-client.ts";
import { openPostgresFits } from "../../src/registry/postgres-fits.ts";
import { PostgresRegistry } from "../../src/registry/postgres-registry.ts";
import type { RegistryContent } from "../../src/registry/registry-content.ts";
import { openRegistryOn, type SharedRegistry } from "../../src/registry/stored-registry.ts";
import { describeWhere } from "../services/describe-where.ts";
import { newDatabase, type PostgresServer, startPostgres } from "../services/postgres.ts";
import { model, newFit } from "./example-fits.ts";
import { all, payments, spend, user } from "./example-definitions.ts";

const clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
const describePostgres = await describeWhere("postgres", { ours: true });

describePostgres("the registry in PostgreSQL", () => {
  let server: PostgresServer;
  let url: string;
  const clients: PostgresClient[] = [];

  beforeAll(async () => {
    server = await startPostgres();
  });
  beforeEach(async () => {
    url = await newDatabase(server.url);
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });
  afterAll(() => server?.close());

  async function newClient(at: string = url): Promise<PostgresClient> {
    const client = await PostgresClient.open(at);
    clients.push(client);
    return client;
  }

  async function open(): Promise<SharedRegistry> {
    return openRegistryOn(new PostgresRegistry(await newClient()), { clock });
  }

  async function query(text: string): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(text);
    await client.end();
  }

  async function refusal(work: Promise<unknown>): Promise<OnefoldError> {
    return work.then(
      () => expect.unreachable("it was accepted"),
      (error: unknown) => error as OnefoldError,
    );
  }

  function numbered(version: number, feature: "count" | "sum"): Definition {
    const features = feature === "count" ? { a: count() } : { a: sum("amount") };
    return view("spend", { version, entity: user, source: payments, features });
  }

  it("loses no apply of many at once, each planned on what the one before left", async () => {
    const registries = await Promise.all(Array.from({ length: 6 }, () => open()));
    await registries[0]!.apply(all);
    const applies = registries.flatMap((registry, i) => [
      registry.apply([numbered(2 + i, "count")]),
      registry.apply([service(`of_${i}`, { features: [spend.pick("payments_1h")] })]),
    ]);
    for (const plan of await Promise.all(applies)) expect(plan).toMatchObject({ dirty: true, refused: false });
    const later = await open();
    expect(later.views().map(({ definition }) => definition.version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(later.services()).toHaveLength(7);
    expect(later.history()).toHaveLength(13);
    for (const registry of registries) {
      expect(await registry.isBehind()).toBe(registry.history().length < 13);
      await registry.reload(null);
      expect(await registry.isBehind()).toBe(false);
      expect(registry.history()).toEqual(later.history());
    }
  });

  it("takes one of two meanings of a version, and refuses the other with the difference", async () => {
    const [one, other] = [await open(), await open()];
    await one.apply(all);
    const results = await Promise.allSettled([
      one.apply([numbered(2, "count")]),
      other.apply([numbered(2, "sum")]),
      other.apply([service("after", { features: [spend] })]),
    ]);
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.map(({ reason }) => (reason as OnefoldError).code)).toEqual(["DEFINITION_CHANGED"]);
    expect(results[2]!.status).toBe("fulfilled");
    expect((await open()).history()).toHaveLength(3);
  });

  it("moves an alias once for all who move it from one version at once, and tells the others that it was moved", async () => {
    const registries = await Promise.all(Array.from({ length: 5 }, () => open()));
    const versions = [2, 3, 4, 5, 6].map((version) => service("of", { version, features: [spend] }));
    await registries[0]!.apply([...all, service("of", { features: [spend] }), ...versions]);
    await registries[0]!.moveAlias({ action: "promote", target: "of@1", by: "first" });
    const results = await Promise.allSettled(
      registries.map((registry, i) =>
        registry.moveAlias({ action: "promote", target: `of@${i + 2}`, from: 1, by: `server ${i}` }),
      ),
    );
    const moved = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason as OnefoldError] : []));
    expect(moved).toHaveLength(1);
    expect(refused.map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => "ALIAS_MOVED"));
    const later = await open();
    expect(later.aliasMoves().map(({ to }) => to)).toEqual([1, moved[0]!.to]);
    for (const registry of registries) {
      await registry.reload(null);
      expect(registry.service("of").definition.version).toBe(moved[0]!.to);
    }
  });

  it("makes each step of an experiment of the one before, also for who has not heard of that", async () => {
    const [one, other] = [await open(), await open()];
    const [plain, rich] = [
      service("risk", { features: [spend.pick("payments_1h")] }),
      service("more", { features: [spend] }),
    ];
    const trial = experiment("trial", { service: [plain, rich], weights: [90, 10], unit: "user" });
    await one.apply([...all, plain, rich, trial]);
    await other.reload(null);
    await one.stepExperiment("trial", { weights: [50, 50] }, "ada");
    expect(await other.isBehind()).toBe(true);
    const back = await refusal(other.stepExperiment("trial", { weights: [70, 30] }, "bob"));
    expect(back.code).toBe("EXPERIMENT_BACKWARD");
    await other.stepExperiment("trial", { weights: [40, 60] }, "bob");
    await one.reload(null);
    expect(one.experimentSteps("trial").map(({ by }) => by)).toEqual([null, "ada", "bob"]);
  });

  it("is read as one apply left it, whoever applies meanwhile", async () => {
    const names = ["a", "b", "c", "d"];
    const generation = (n: number): Definition[] =>
      names.map((name) => service(name, { features: [spend], description: `generation ${n}` }));
    const writers = [await open(), await open()];
    await writers[0]!.apply([...all, ...generation(0)]);
    const reader = new PostgresRegistry(await newClient());
    const seen = new Set<string | undefined>();
    const done = new AbortController();
    const reading = (async () => {
      for (let last = 0; !done.signal.aborted;) {
        const { content, revision } = await reader.read();
        const texts = new Set(descriptions(content, names));
        expect(texts.size, [...texts].join(" and ")).toBe(1);
        const number = Number(revision.split(" ")[0]);
        expect(number).toBeGreaterThanOrEqual(last);
        last = number;
        for (const text of texts) seen.add(text);
      }
    })();
    for (let round = 0; round < 15; round++) {
      await Promise.all(writers.map((writer, i) => writer.apply(generation(2 * round + i + 1))));
    }
    done.abort();
    await reading;
    expect(seen.size).toBeGreaterThan(5);
  });

  it("tells who watches of another's change, and of what it missed while it was away", async () => {
    const [one, other] = [await open(), await open()];
    let news = 0;
    const watched = one.watch(() => news++);
    await expect.poll(() => news).toBe(1);
    await other.apply(all);
    await expect.poll(() => news).toBe(2);
    expect(await one.isBehind()).toBe(true);
    await server.kill();
    await server.restart();
    await expect.poll(() => news, { timeout: 60_000 }).toBe(3);
    await other.apply([numbered(2, "count")]);
    await expect.poll(() => news).toBe(4);
    await watched.close();
  });

  it("leaves nothing of an apply whose process dies before its commit, and its lock to the next", async () => {
    const registry = await open();
    await registry.apply(all);
    const dying = new Client({ connectionString: url });
    dying.on("error", () => undefined);
    await dying.connect();
    await dying.query("BEGIN");
    await dying.query("SELECT * FROM onefold.registry FOR UPDATE");
    await dying.query("UPDATE onefold.registry SET revision = 99, content = 'half'");
    const applied = registry.apply([numbered(2, "count")]);
    await sleep(200);
    (dying as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await applied;
    expect((await open()).view("spend").definition.version).toBe(2);
  });

  it("does not wait for ever for an apply that hangs", async () => {
    const registry = await open();
    await registry.apply(all);
    const hanging = await newClient();
    const never = hanging.transaction(async (run) => {
      await run("SELECT * FROM onefold.registry FOR UPDATE");
      await sleep(20_000, undefined, { ref: false });
    });
    never.catch(() => undefined);
    await sleep(200);
    await registry.apply([numbered(2, "count")]);
    expect((await open()).view("spend").definition.version).toBe(2);
  });

  it("says REGISTRY_UNREACHABLE while PostgreSQL is killed or silent, and goes on when it is back", async () => {
    const registry = await open();
    await registry.apply(all);
    await server.kill();
    expect((await refusal(registry.isBehind())).code).toBe("REGISTRY_UNREACHABLE");
    expect((await refusal(registry.apply([numbered(2, "count")]))).code).toBe("REGISTRY_UNREACHABLE");
    expect(registry.view("spend").definition.version).toBe(1);
    await server.restart();
    await registry.apply([numbered(2, "count")]);
    await server.pause();
    const silent = await refusal(registry.isBehind());
    expect(silent.code).toBe("REGISTRY_UNREACHABLE");
    expect(silent.where).toBe(`postgres://127.0.0.1:${server.port}${new URL(url).pathname}`);
    await server.resume();
    expect(await registry.isBehind()).toBe(false);
    expect((await open()).view("spend").definition.version).toBe(2);
  });

  it("says what is wrong with an address, a user, a database, and never the password", async () => {
    const changed = (change: (parts: URL) => void): string => {
      const parts = new URL(url);
      parts.password = "hush-hush";
      change(parts);
      return parts.href;
    };
    const cases: [string, string, RegExp][] = [
      [changed(() => {}), "REGISTRY_DENIED", /password authentication failed/],
      [changed((parts) => (parts.port = "1")), "REGISTRY_UNREACHABLE", /ECONNREFUSED/],
      [changed((parts) => (parts.hostname = "nowhere.invalid")), "REGISTRY_UNREACHABLE", /nowhere\.invalid/],
      [url.replace(/[^/]+$/, "nothing_here"), "REGISTRY_UNREACHABLE", /"nothing_here" does not exist/],
      [url.replace(/:[^:/@]+@/, "@"), "REGISTRY_DENIED", /password/],
      [changed((parts) => (parts.protocol = "mysql:")), "REQUEST_INVALID", /URL of PostgreSQL/],
      ["postgres://user:12/hush-hush@127.0.0.1/db", "REQUEST_INVALID", /URL of PostgreSQL/],
      ["postgres://user:hush-hush@127.0.0.1:port/db", "REQUEST_INVALID", /URL of PostgreSQL/],
      ["hush-hush", "REQUEST_INVALID", /URL of PostgreSQL/],
    ];
    for (const [at, code, message] of cases) {
      const error = await refusal(newClient(at).then((client) => client.query("SELECT 1")));
      expect(error.code, error.message).toBe(code);
      expect(error.message).toMatch(message);
      const texts = [JSON.stringify(error), error.stack, String((error.cause as Error | undefined)?.stack)];
      expect(texts.join("\n")).not.toMatch(/hush-hush|not-a-secret/);
    }
  });

  it("is reached by TLS, and by a server that is trusted alone", async () => {
    const encrypted = await startPostgres({ tls: true });
    try {
      const store = new PostgresRegistry(await newClient(encrypted.url));
      const registry = await openRegistryOn(store, { clock });
      await registry.apply(all);
      let news = 0;
      const watched = registry.watch(() => news++);
      await expect.poll(() => news).toBe(1);
      await registry.apply([numbered(2, "count")]);
      await expect.poll(() => news).toBe(2);
      await watched.close();
      const [plain] = encrypted.url.split("?");
      const read = async (at: string): Promise<unknown> => (await newClient(at)).query("SELECT 1");
      expect((await refusal(read(plain!))).code).toBe("REGISTRY_DENIED");
      const untrusted = await refusal(read(`${plain}?sslmode=verify-full`));
      expect([untrusted.code, untrusted.message]).toEqual([
        "REGISTRY_UNREACHABLE",
        expect.stringMatching(/self.signed/),
      ]);
    } finally {
      await encrypted.close();
    }
  });

  it("says so where a newer version has made the tables, or the user may not use them", async () => {
    const registry = await open();
    await registry.apply(all);
    await query("UPDATE onefold.registry SET version = 2");
    expect((await refusal(registry.reload([]))).code).toBe("REGISTRY_TOO_NEW");
    expect((await refusal(registry.isBehind())).code).toBe("REGISTRY_TOO_NEW");
    expect((await refusal(registry.apply([numbered(2, "count")]))).code).toBe("REGISTRY_TOO_NEW");
    await query("UPDATE onefold.registry SET version = 1");
    await query("CREATE ROLE guest LOGIN PASSWORD 'guest'");
    const guest = new URL(url);
    [guest.username, guest.password] = ["guest", "guest"];
    const read = (at: string): Promise<unknown> =>
      newClient(at).then((client) => openRegistryOn(new PostgresRegistry(client), { clock }));
    expect((await refusal(read(guest.href))).code).toBe("REGISTRY_DENIED");
    await query("GRANT USAGE ON SCHEMA onefold TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA onefold TO guest");
    const reading = (await read(guest.href)) as SharedRegistry;
    expect(reading.services()).toHaveLength(1);
    expect((await refusal(reading.apply([numbered(2, "count")]))).code).toBe("REGISTRY_DENIED");
    await query("GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA onefold TO guest");
    await reading.apply([numbered(2, "count")]);
    const fits = await openPostgresFits(await newClient(guest.href), null);
    expect((await fits.put(newFit(model, 1))).version).toBe(1);
  });

  it("is noticed when a backup was restored, though others applied up to the revision before", async () => {
    const [one, other] = [await open(), await open()];
    await one.apply(all);
    await query("CREATE TABLE backup AS SELECT * FROM onefold.registry");
    await one.apply([numbered(2, "count")]);
    await query("DELETE FROM onefold.registry");
    await query("INSERT INTO onefold.registry SELECT * FROM backup");
    await other.apply([numbered(2, "sum")]);
    expect(await one.isBehind()).toBe(true);
    await one.reload(null);
    expect(one.view("spend", 2).fingerprint).toBe(other.view("spend", 2).fingerprint);
  });

  it("refuses a content that is damaged, and says where", async () => {
    const registry = await open();
    await registry.apply(all);
    await query("UPDATE onefold.registry SET content = replace(content, 'payments_1h', 'payments_2h')");
    const error = await refusal(registry.reload([]));
    expect(error.code).toBe("REGISTRY_CORRUPT");
    expect(error.where).toContain("postgres://127.0.0.1");
    expect(registry.services()).toHaveLength(1);
  });
});

function descriptions({ definitions }: RegistryContent, names: readonly string[]): (string | undefined)[] {
  return definitions
    .filter(({ definition }) => names.includes(definition.name))
    .map(({ definition }) => definition.description);
}

/** Alerts of a running owner: parts of monitoring that are asked, rules from the registry, real receivers, restarts. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { micros } from "../../../src/base/micros.ts";
import {
  alert,
  command,
  type Definition,
  defaultAlerts,
  entity,
  count,
  retrain,
  service,
  stream,
  t,
  view,
  webhook,
} from "../../../src/index.ts";
import { AlertStore } from "../../../src/monitor/alerts/alert-store.ts";
import type { SetBuilder, SetState } from "../../../src/monitor/alerts/training.ts";
import type { Signal, SignalSource } from "../../../src/monitor/signal.ts";
import { storedHistory } from "../../../src/platform/monitoring/alert-answers.ts";
import { Alerts } from "../../../src/platform/monitoring/alerts.ts";
import { openFileRegistry } from "../../../src/registry/file-registry.ts";
import { openReceiver, type Receiver, until } from "../../monitor/alerts/receiver.ts";

const MINUTE = 60_000_000;
const START = micros(1_700_000_000_000_000);

const airport = entity("airport", { airport: t.string() });
const departures = stream("departures", { columns: { airport: t.string(), at: t.timestamp() }, eventTime: "at" });
const traffic = view("traffic", {
  entity: airport,
  source: departures,
  version: 1,
  features: { departures_1h: count().over("1h") },
});
const model = service("model", { features: [traffic] });

function signal(more: Partial<Signal> = {}): Signal {
  return {
    kind: "pipeline-age",
    subject: { source: "departures", view: "traffic@1" },
    measure: "age_seconds",
    value: 90,
    threshold: 60,
    isBeyond: true,
    pValue: null,
    samples: 0,
    windowStartMicros: 0,
    windowEndMicros: 0,
    detail: {},
    ...more,
  };
}

let receiver: Receiver;
let dataDir: string;
let clock: ReplayClock;
const opened: Alerts[] = [];
beforeEach(async () => {
  receiver = await openReceiver();
  dataDir = await mkdtemp(join(tmpdir(), "onefold-alerts-"));
  clock = new ReplayClock(START);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await receiver.close();
});

const notOffered: SetBuilder = {
  start: () => Promise.reject(new Error("no set is built")),
  look: () => Promise.reject(new Error("no set is built")),
};

/** What a restart opens anew; the registry's file and the store are those on disk. */
async function open(
  definitions: readonly Definition[],
  sources: Readonly<Record<string, SignalSource["signals"]>>,
  { builder = notOffered, answerMicros = 50_000 }: { builder?: SetBuilder; answerMicros?: number } = {},
): Promise<Alerts> {
  const registry = await openFileRegistry(join(dataDir, "registry"), { clock });
  await registry.apply([airport, departures, traffic, model, ...definitions]);
  const named = Object.entries(sources).map(([name, signals]) => ({ name, source: { signals } }));
  const store = await AlertStore.open(dataDir, clock.now());
  const alerts = new Alerts({ store, registry, clock, sources: named, builder }, { answerMicros });
  opened.push(alerts);
  return alerts;
}

async function pass(alerts: Alerts, minutes: number): Promise<void> {
  clock.advanceTo(micros(clock.now() + minutes * MINUTE));
  await alerts.evaluateNow();
}

describe("alerts", () => {
  it("tell the receiver that something fires and that it is over, and say so to whoever asks", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const rule = alert("stale", { on: "pipeline-age", for: "2m", severity: "critical", to: hook });
    let isBeyond = true;
    const alerts = await open([hook, rule], { freshness: async () => [signal({ isBeyond })] });
    await alerts.evaluateNow();
    expect((await alerts.list()).alerts).toMatchObject([{ rule: "stale", phase: "pending", severity: "critical" }]);
    await pass(alerts, 2);
    await receiver.has(1);
    expect(receiver.received[0]!.json).toMatchObject({
      event: "firing",
      rule: "stale",
      text: "[CRITICAL] stale: pipeline-age of traffic@1: age_seconds 90, threshold 60",
      found: [{ subject: { view: "traffic@1" }, value: 90 }],
    });
    expect(alerts.gauges().firing).toEqual([{ rule: "stale", severity: "critical", count: 1 }]);
    isBeyond = false;
    await pass(alerts, 1);
    await pass(alerts, 5);
    await receiver.has(2);
    expect(receiver.received[1]!.json).toMatchObject({ event: "resolved" });
    await until(async () => (await alerts.history({})).length === 4, "the history");
    const events = (await alerts.history({})).map(({ event }) => event).toReversed();
    expect(events).toEqual(["firing", "delivered", "resolved", "delivered"]);
    expect(alerts.gauges().firing).toEqual([{ rule: "stale", severity: "critical", count: 0 }]);
  });

  it("where none is defined are the default ones, to all destinations; one that is off turns them off", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const sources = { freshness: async () => [signal()] };
    const alerts = await open([hook], sources);
    await alerts.evaluateNow();
    await pass(alerts, 2);
    await receiver.has(1);
    expect(receiver.received[0]!.json).toMatchObject({ rule: "default_pipeline_age" });
    await alerts.close();
    const quiet = await open([hook, alert("none", { on: "skew", off: true })], sources);
    await pass(quiet, 60);
    expect((await quiet.list()).alerts).toEqual([]);
    expect(defaultAlerts().map(({ name }) => name)).toContain("default_pipeline_age");
  });

  it("go on where a part of monitoring throws or hangs, and tell of that part", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const rules = [alert("stale", { on: "pipeline-age", to: hook }), alert("parts", { on: "signal-source", to: hook })];
    let asked = 0;
    let release = (): void => {};
    const alerts = await open([hook, ...rules], {
      good: async () => [signal()],
      throwing: () => {
        throw new Error("it is broken");
      },
      hanging: () => {
        asked += 1;
        return asked > 1 ? Promise.resolve([]) : new Promise((resolve) => (release = () => resolve([])));
      },
    });
    await alerts.evaluateNow();
    await pass(alerts, 1);
    await receiver.has(2);
    expect(receiver.received.map(({ json }) => [json["rule"], json["count"]]).toSorted()).toEqual([
      ["parts", 2],
      ["stale", 1],
    ]);
    expect((await alerts.list()).sources).toMatchObject([
      { name: "good", failures: 0, error: null },
      { name: "throwing", failures: 2, error: "it is broken", answered_at: null },
      { name: "hanging", failures: 2, error: "it has not answered yet", answered_at: null },
    ]);
    // It is not asked again while it has not answered, and is once it has.
    expect(asked).toBe(1);
    release();
    await new Promise((resolve) => setImmediate(resolve));
    await alerts.evaluateNow();
    expect(asked).toBe(2);
    expect((await alerts.list()).sources[2]).toMatchObject({ failures: 0, error: null });
  });

  it("are closed at once though a part hangs, and nothing is made of what it did not say", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const definitions = [hook, alert("parts", { on: "signal-source", to: hook })];
    let isAsked = false;
    const hanging = (): Promise<never> => {
      isAsked = true;
      return new Promise(() => {});
    };
    const alerts = await open(definitions, { hanging }, { answerMicros: 2e9 });
    alerts.start();
    await until(() => isAsked, "the part to be asked");
    await alerts.close();
    expect((await alerts.list()).alerts).toEqual([]);
  });

  it("deliver after a restart what could not be delivered before, under the same id", async () => {
    const { port } = receiver;
    await receiver.close();
    const hook = webhook("hook", { url: receiver.url });
    const definitions = [hook, alert("stale", { on: "pipeline-age", to: hook })];
    const sources = { freshness: async () => [signal()] };
    const alerts = await open(definitions, sources);
    await alerts.evaluateNow();
    const waiting = async (one: Alerts): Promise<Readonly<Record<string, unknown>>> =>
      (await one.list()).undelivered[0]!;
    await until(async () => (await waiting(alerts))["attempts"] === 1, "a failed attempt");
    expect(await waiting(alerts)).toMatchObject({ to: "hook", error: "the connection failed (ECONNREFUSED)" });
    const { notice_id: id } = await waiting(alerts);
    await alerts.close();
    receiver = await openReceiver(port);
    const restarted = await open(definitions, sources);
    expect(await waiting(restarted)).toMatchObject({ notice_id: id, attempts: 1 });
    await pass(restarted, 1);
    await receiver.has(1);
    expect(receiver.received[0]!.json).toMatchObject({ id, event: "firing" });
    await until(async () => (await restarted.list()).undelivered.length === 0, "the outbox to be empty");
    await pass(restarted, 1);
    expect(receiver.received).toHaveLength(1);
  });

  it("tell again while something fires, through a restart, and not behind what the receiver has not taken yet", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const definitions = [hook, alert("stale", { on: "pipeline-age", repeat: "4h", to: hook })];
    const sources = { freshness: async () => [signal()] };
    const alerts = await open(definitions, sources);
    await alerts.evaluateNow();
    await receiver.has(1);
    await pass(alerts, 239);
    await alerts.close();
    // Nobody is there when it is due, nor the next time.
    const { port, received } = receiver;
    await receiver.close();
    let restarted = await open(definitions, sources);
    await pass(restarted, 1);
    await pass(restarted, 240);
    await until(async () => Number((await restarted.list()).undelivered[0]?.["attempts"]) > 0, "a failed attempt");
    const [{ notice_id: id }] = (await restarted.list()).undelivered as [Readonly<Record<string, unknown>>];
    await restarted.close();
    receiver = await openReceiver(port);
    restarted = await open(definitions, sources);
    expect((await restarted.list()).undelivered).toHaveLength(1);
    await pass(restarted, 1);
    await receiver.has(1);
    const again = receiver.received[0]!.json;
    expect(again).toMatchObject({ id, event: "firing", repeated: true, since: received[0]!.json["since"] });
    expect(again["text"]).toBe("[WARNING, STILL] stale: pipeline-age of traffic@1: age_seconds 90, threshold 60");
    expect(received.map(({ json }) => json["repeated"])).toEqual([false]);
    await until(async () => (await restarted.list()).undelivered.length === 0, "the outbox to be empty");
    await pass(restarted, 239);
    await receiver.has(2);
    expect(receiver.received[1]!.json).toMatchObject({ repeated: true });
  });

  it("are not told of while they are silent; a silence has an end, who asked for it, and can be ended", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const alerts = await open([hook, alert("stale", { on: "pipeline-age", to: hook })], {
      freshness: async () => [signal()],
    });
    const silence = await alerts.silence({
      rule: "stale",
      view: "traffic@1",
      until: "1h",
      by: "me",
      comment: "a move",
    });
    await alerts.evaluateNow();
    expect(await alerts.list()).toMatchObject({ alerts: [{ phase: "firing", silenced: true }], silences: [silence] });
    expect(receiver.received).toEqual([]);
    expect(await alerts.unsilence(silence.id)).toEqual(silence);
    await pass(alerts, 1);
    await receiver.has(1);
    await expect(alerts.unsilence(silence.id)).rejects.toMatchObject({ code: "SILENCE_UNKNOWN" });
    await expect(alerts.silence({ until: "2001-01-01T00:00:00Z", by: "me" })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
    await expect(alerts.silence({ until: "soon", by: "me" })).rejects.toMatchObject({ code: "TIME_INVALID" });
    expect((await alerts.history({ event: "silenced" }))[0]).toMatchObject({ rule: "stale", detail: { by: "me" } });
    await expect(alerts.silence({ rule: "stalle", until: "1h", by: "me" })).rejects.toMatchObject({
      code: "DEFINITION_UNKNOWN",
      candidates: ["stale"],
    });
    await expect(alerts.history({ event: "silence" })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
      candidates: expect.arrayContaining(["silenced"]),
    });
    await expect(storedHistory(dataDir, { event: "foo" })).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  });

  it("tell in one notice of all that begins at once", async () => {
    const hook = webhook("hook", { url: receiver.url });
    const features = Array.from({ length: 150 }, (_, i) => `f${i}`);
    const alerts = await open([hook, alert("moves", { on: "skew", to: hook })], {
      skew: async () => features.map((feature) => signal({ kind: "skew", subject: { view: "traffic@1", feature } })),
    });
    await alerts.evaluateNow();
    await receiver.has(1);
    const [{ json }] = receiver.received as [Receiver["received"][0]];
    expect(json).toMatchObject({ count: 150, text: expect.stringMatching(/traffic@1\.f0: .*; and 149 more$/) });
    expect(json["found"]).toHaveLength(100);
    await until(async () => (await alerts.list()).undelivered.length === 0, "the delivery");
    expect(receiver.received).toHaveLength(1);
  });

  it("run a program only where the server's own definitions have it", async () => {
    const page = command("page", { run: [process.execPath, "-e", ""] });
    const alerts = await open([page, alert("stale", { on: "pipeline-age", to: page })], {});
    expect(await alerts.test("page")).toMatchObject({ delivered: true });
    await alerts.close();
    const registry = await openFileRegistry(join(dataDir, "registry"), { clock });
    const store = await AlertStore.open(dataDir, clock.now());
    const elsewhere = new Alerts({ store, registry, clock, sources: [], builder: notOffered });
    opened.push(elsewhere);
    await expect(elsewhere.test("page")).rejects.toMatchObject({
      code: "DELIVERY_FAILED",
      message: "page: page runs a program, and its code is not loaded",
    });
    registry.attachCode([command("page", { run: ["/bin/other"] })]);
    await expect(elsewhere.test("page")).rejects.toMatchObject({ code: "DELIVERY_FAILED" });
    registry.attachCode([page]);
    expect(await elsewhere.test("page")).toMatchObject({ delivered: true });
  });

  it("try a destination", async () => {
    const alerts = await open([webhook("hook", { url: receiver.url })], {});
    expect(await alerts.test("hook")).toMatchObject({ delivered: true });
    expect(receiver.received[0]!.json).toMatchObject({ event: "test" });
    receiver.answer = (response) => void response.writeHead(503).end();
    await expect(alerts.test("hook")).rejects.toMatchObject({
      code: "DELIVERY_FAILED",
      message: "hook: it answered 503",
    });
    await expect(alerts.test("hok")).rejects.toMatchObject({ code: "DEFINITION_UNKNOWN", candidates: ["hook"] });
  });
});

describe("a retraining", () => {
  /** Builds in so many looks; `states` by training set. */
  class Builder implements SetBuilder {
    readonly started: string[] = [];
    next: SetState = { state: "under-way" };

    async start({ service: name }: { service: string }): Promise<string> {
      this.started.push(name);
      return `set-${this.started.length}`;
    }

    async look(): Promise<SetState> {
      return this.next;
    }
  }

  const drift = (window: number): Signal =>
    signal({
      kind: "drift",
      subject: { view: "traffic@1", feature: "departures_1h" },
      measure: "psi",
      value: 0.4,
      threshold: 0.2,
      pValue: 1e-6,
      samples: 500,
      windowStartMicros: START + window * 60 * MINUTE,
      windowEndMicros: START + (window + 1) * 60 * MINUTE,
    });

  async function openTraining(builder: SetBuilder): Promise<{ alerts: Alerts; drifting: () => Promise<void> }> {
    const hook = webhook("trainer", { url: receiver.url });
    const rule = retrain("again", { service: model, labels: { every: "1d", range: "30d" }, to: hook });
    let window = 0;
    const alerts = await open([hook, rule], { drift: async () => [drift(window)] }, { builder });
    return {
      alerts,
      drifting: async () => {
        await pass(alerts, 60);
        window += 1;
        await pass(alerts, 60);
      },
    };
  }

  it("calls its webhook with what drifted, by how much, and where the fresh set lies, through a restart", async () => {
    const builder = new Builder();
    const { alerts, drifting } = await openTraining(builder);
    await drifting();
    await until(async () => (await alerts.list()).trainings[0]?.["training_set"] === "set-1", "the set to be begun");
    await alerts.close();
    builder.next = { state: "done", rows: 1234, path: "/data/training-sets/set-1/set.parquet" };
    const restarted = (await openTraining(builder)).alerts;
    restarted.start();
    await receiver.has(1);
    expect(receiver.received[0]!.json).toMatchObject({
      event: "retrain",
      rule: "again",
      found: [{ subject: { feature: "departures_1h" }, measure: "psi", value: 0.4, threshold: 0.2 }],
      fresh: {
        service: "model",
        training_set: "set-1",
        rows: 1234,
        path: "/data/training-sets/set-1/set.parquet",
        download: "/training-sets/set-1/download",
      },
    });
    expect(builder.started).toEqual(["model"]);
    await until(async () => (await restarted.history({ event: "delivered" })).length === 1, "the delivery");
    expect((await restarted.list()).trainings).toEqual([]);
  });

  it("whose set fails is begun again later; what can never be built is given up", async () => {
    const builder = new Builder();
    builder.next = { state: "failed", error: "TRAINING_INTERRUPTED: the server ended", isFinal: false };
    const { alerts, drifting } = await openTraining(builder);
    await drifting();
    await until(async () => Number((await alerts.list()).trainings[0]?.["failures"]) === 1, "a failure");
    builder.next = { state: "failed", error: "REQUEST_INVALID: no tick", isFinal: true };
    await pass(alerts, 60);
    await until(async () => (await alerts.list()).trainings.length === 0, "the end");
    expect(builder.started).toHaveLength(2);
    expect((await alerts.history({ event: "training-failed" }))[0]).toMatchObject({
      rule: "again",
      detail: { failures: 2, error: "REQUEST_INVALID: no tick" },
    });
    expect(receiver.received).toEqual([]);
    // Nobody was called, so what still drifts asks again once the cool-down is over.
    await pass(alerts, 60);
    expect((await alerts.list()).trainings).toEqual([]);
    await pass(alerts, 24 * 60);
    expect((await alerts.list()).trainings).toHaveLength(1);
  });
});

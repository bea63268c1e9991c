/** Alerts, retraining and destinations in the definitions file: what they become, and what is refused with its line. */
import { describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE } from "../../src/base/micros.ts";
import {
  alert,
  command,
  count,
  defaultAlerts,
  entity,
  retrain,
  service,
  stream,
  t,
  view,
  webhook,
  type Definition,
} from "../../src/index.ts";
import { withReferences } from "../../src/define/references.ts";
import { fromData, toData } from "../../src/registry/definition-data.ts";
import { differences } from "../../src/registry/diff.ts";
import { fingerprint, registeredData } from "../../src/registry/fingerprint.ts";
import { planChanges } from "../../src/registry/plan.ts";
import { keyOf } from "../../src/registry/definition-set.ts";
import { ruleText } from "../../src/registry/rule-text.ts";

const airport = entity("airport", { airport: t.string() });
const departures = stream("departures", { columns: { airport: t.string(), at: t.timestamp() }, eventTime: "at" });
const traffic = view("traffic", {
  entity: airport,
  source: departures,
  version: 1,
  features: { departures_1h: count().over("1h") },
});
const model = service("model", { features: [traffic] });
const slack = webhook("slack", { url: { env: "SLACK_URL" }, template: "slack" });
const page = command("page", { run: ["/usr/local/bin/page", "--team", "ml"], timeout: "5s" });
const trainer = webhook("trainer", { url: "https://ml.example.com/retrain", secret: { env: "TRAIN_SECRET" } });

function refusalOf(make: () => unknown): { message: string; where: string | undefined } {
  try {
    make();
  } catch (error) {
    if (isOnefoldError(error) && error.code === "DEFINITION_INVALID")
      return { message: error.message, where: error.where };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("alert", () => {
  it("is data with its defaults filled in", () => {
    expect(alert("stale", { on: "pipeline-age", view: traffic, to: [slack, page] })).toMatchObject({
      kind: "alert",
      name: "stale",
      severity: "warning",
      watches: { kinds: ["pipeline-age"], views: ["traffic@1"] },
      forMicros: 0,
      windows: 1,
      samplesMin: 0,
      falseDiscoveryRate: 0.05,
      keepFiringMicros: 5 * MICROS_PER_MINUTE,
      cooldownMicros: MICROS_PER_HOUR,
      to: ["slack", "page"],
    });
  });

  it("is told of once, or again and again", () => {
    expect(alert("moves", { on: "drift", to: slack })).not.toHaveProperty("repeatMicros");
    const rule = alert("moves", { on: "drift", to: slack, repeat: "4h" });
    expect(rule).toMatchObject({ repeatMicros: 4 * MICROS_PER_HOUR });
    expect(fingerprint(rule)).not.toBe(fingerprint(alert("moves", { on: "drift", to: slack })));
    expect(ruleText(rule)).toBe("drift in 2 windows warning to slack again every 4h");
  });

  it("wants two windows in a row of what drifts", () => {
    expect(alert("moves", { on: ["drift"] })).toMatchObject({ windows: 2, samplesMin: 30 });
    expect(alert("moves", { on: ["drift"], windows: 1 })).toMatchObject({ windows: 1 });
  });

  it("brings its destinations, views and services along", () => {
    const rule = alert("all", { on: "drift", service: model, to: page });
    expect(withReferences([rule]).map((one: Definition) => one.name)).toEqual(
      expect.arrayContaining(["airport", "departures", "traffic", "model", "page", "all"]),
    );
  });

  it("is the same by its data, and another by its rule but not by its description", () => {
    const rule = alert("one", { on: "skew", above: 0.5 });
    expect(fromData(toData(rule))).toEqual(rule);
    expect(fingerprint(alert("one", { on: "skew", above: 0.5, description: "x" }))).toBe(fingerprint(rule));
    const other = alert("one", { on: "skew", above: 0.7, for: "2m", view: traffic });
    expect(fingerprint(other)).not.toBe(fingerprint(rule));
    const lines = differences(registeredData(toData(rule)), registeredData(toData(other)));
    expect(lines).toContain("bound.value: 0.5 -> 0.7");
    expect(lines).toContain("forMicros: 0 -> 2m");
    expect(lines.some((line) => line.startsWith("watches.views: added"))).toBe(true);
  });

  it.each([
    [() => alert("a b", { on: "drift" }), /its name/],
    [() => alert("x", {} as never), /on is missing/],
    [() => alert("x", { on: "drfit" as never }), /did you mean drift/],
    [() => alert("x", { on: "drift", fro: "1m" } as never), /there is no option "fro": did you mean for/],
    [() => alert("x", { on: "drift", for: "soon" as never }), /for: "soon" is not a duration/],
    [() => alert("x", { on: "drift", above: 1, below: 2 }), /above and below/],
    [() => alert("x", { on: "drift", above: Number.NaN }), /above is no finite number/],
    [() => alert("x", { on: "drift", windows: 0 }), /windows is no whole number/],
    [() => alert("x", { on: "drift", falseDiscoveryRate: 5 }), /falseDiscoveryRate/],
    [() => alert("x", { on: "drift", severity: "bad" as never }), /severity "bad"/],
    [() => alert("x", { on: "drift", to: slack, repeat: "30m" }), /repeat is shorter than cooldown, 1h/],
    [() => alert("x", { on: "drift", repeat: "4h" }), /repeat needs to/],
    [() => alert("x", { on: "drift", to: slack, repeat: "often" as never }), /repeat: "often" is not a duration/],
    [
      () => retrain("x", { service: model, labels: { path: "l.csv" }, to: trainer, repeat: "2d" } as never),
      /there is no option "repeat"/,
    ],
    [() => alert("x", { on: "drift", to: ["slack"] as never }), /to: give what webhook/],
    [() => alert("x", { on: "drift", to: [slack, slack] }), /names a destination twice/],
    [() => webhook("x", { url: "ftp://example.com" }), /url is no absolute http/],
    [() => webhook("x", { url: "https://me:secret@example.com" }), /without a user/],
    [() => webhook("x", { url: "https://x.example", secret: "abc" as never }), /no secret stands in a definition/],
    [() => webhook("x", {} as never), /url is missing/],
    [() => webhook("x", { url: "https://x.example", timeout: "1h" }), /longer than 10m/],
    [() => command("x", { run: "rm -rf /" as never }), /run is "rm -rf \/": give a list/],
    [() => command("x", { run: [] }), /run is no list of a program/],
    [() => retrain("x", { labels: { every: "1d", range: "90d" }, to: trainer } as never), /service is missing/],
    [
      () => retrain("x", { service: model, labels: { every: "7d", range: "1d" }, to: trainer }),
      /range is shorter than every/,
    ],
    [() => retrain("x", { service: model, labels: { every: "7d" } as never, to: trainer }), /labels are either/],
    [() => retrain("x", { service: model, labels: { path: "l.csv" }, to: [] }), /to is missing/],
  ])("says what is wrong, with the line: %#", (make, expected) => {
    const { message, where } = refusalOf(make);
    expect(message).toMatch(expected);
    expect(where).toMatch(/alerts\.test\.ts:\d+$/);
    expect(message).not.toContain("secret@");
  });
});

describe("retrain", () => {
  it("watches the drift of its service", () => {
    expect(retrain("again", { service: model, labels: { every: "1d", range: "90d" }, to: trainer })).toMatchObject({
      kind: "retrain",
      service: "model",
      watches: { kinds: ["drift", "missing-drift"] },
      labels: { kind: "ticks", everyMicros: MICROS_PER_DAY, rangeMicros: 90 * MICROS_PER_DAY },
      boundary: "inclusive",
      windows: 2,
      cooldownMicros: MICROS_PER_DAY,
      to: ["trainer"],
    });
  });
});

describe("defaultAlerts", () => {
  it("are one of each kind, to the destinations given", () => {
    const rules = defaultAlerts({ to: slack });
    expect(rules.flatMap(({ watches }) => watches.kinds)).toHaveLength(8);
    expect(rules.every(({ to }) => to.length === 1 && to[0] === "slack")).toBe(true);
    expect(rules.find(({ name }) => name === "default_drift")).toMatchObject({ windows: 2 });
  });
});

describe("registering them", () => {
  const graph = [airport, departures, traffic, model, slack, page, trainer];

  it("plans them behind what they watch", () => {
    const rule = alert("moves", { on: "drift", service: model, feature: "departures_1h", to: slack });
    const plan = planChanges([rule, ...graph], new Map());
    expect(plan.changes.map(({ name }) => name).at(-1)).toBe("moves");
    expect(plan.changes.at(-1)!.details).toEqual(["drift of departures_1h, model in 2 windows warning to slack"]);
  });

  it("lets them change", () => {
    const registered = new Map([...graph, alert("moves", { on: "drift" })].map((one) => [keyOf(one), one] as const));
    const plan = planChanges([alert("moves", { on: "drift", off: true })], registered);
    expect(plan).toMatchObject({ dirty: true, refused: false, changes: [{ change: "change" }] });
  });

  it.each([
    [alert("x", { on: "drift", view: "trafic@1" }), /there is no view "trafic@1"; did you mean "traffic@1"/],
    [alert("x", { on: "drift", source: "departure" }), /there is no source "departure"; did you mean "departures"/],
    [alert("x", { on: "drift", service: "modell" }), /there is no service "modell"/],
    [alert("x", { on: "drift", view: traffic, feature: "departures_2h" }), /there is no feature "departures_2h"/],
    [
      retrain("x", { service: model, labels: { path: "l.csv" }, to: page as never }),
      /training is started by a webhook/,
    ],
  ])("refuses names that nothing has, with the line: %#", (rule, expected) => {
    const { message, where } = refusalOf(() => planChanges([...graph, rule], new Map()));
    expect(message).toMatch(expected);
    expect(where).toMatch(/alerts\.test\.ts:\d+$/);
  });
});

/**
 * Transformations through the whole house: fitted to the train split, then the same bits in a request, in a
 * training row and in the audit, after a second fit and after the service was defined anew.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatMicros, parseMicros } from "../../src/base/micros.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import {
  cross,
  customTransformation,
  impute,
  log1p,
  oneHot,
  ordinal,
  quantileBins,
  service,
  standardize,
  t,
} from "../../src/index.ts";
import { at, base, FittedWorld, SEED, spending, START, unusual } from "./fitted-world.ts";

const centred = customTransformation("centred", {
  output: t.float64(),
  fit: (values: readonly number[]) => ({ middle: Math.max(...values) / 2 }),
  apply: (value: number, { middle }) => value - middle,
});
const fraud = service("fraud", {
  features: [spending, unusual],
  transform: {
    mean_1d: standardize(log1p(impute("mean_1d", "median"))),
    shop_slots: oneHot("shop", { max: 2 }),
    shop_number: ordinal("shop", { unseen: "error" }),
    busy: quantileBins("payments_1h", { bins: 3 }),
    shop_and_busy: cross(["shop", quantileBins("payments_1h", { bins: 3 })], { buckets: 100 }),
    ratio: centred("ratio"),
  },
  omit: ["shop"],
});
/** Fewer transformations under the same name, one of them of another meaning. */
const redefined = service("fraud", {
  features: [spending, unusual],
  transform: { mean_1d: standardize("mean_1d") },
});

let world: FittedWorld;

beforeEach(async () => {
  world = await FittedWorld.open([...base, fraud]);
});

afterEach(() => world.close());

describe("a service with transformations", () => {
  it("gives a training row the very bits that were served, and the audit agrees: after a refit and a new definition, too", async () => {
    console.log(`payments are random by seed ${SEED} (ONEFOLD_SEED)`);
    await world.pay(60);
    const first = await world.platform.fit({
      service: "fraud",
      labels: await world.labelsOf(40),
      split: { share: 0.8 },
      boundary: "inclusive",
      allowAfterLog: true,
    });
    expect(first.version).toBe(1);
    const servedFirst = await world.serve(40);
    expect(new Set(servedFirst.map(({ fit }) => fit))).toEqual(new Set([1]));
    expect(Object.keys(servedFirst[0]!.features)).toEqual([
      "payments_1h",
      "mean_1d",
      "ratio",
      "shop_slots",
      "shop_number",
      "busy",
      "shop_and_busy",
    ]);
    await world.expectTrained(servedFirst, {});
    await world.expectTrained(servedFirst, { knowledge: "as-served" });

    await world.pay(40);
    const second = await world.platform.fit({
      service: "fraud",
      labels: await world.labelsOf(90),
      split: { until: world.clock.now() },
      boundary: "inclusive",
      allowAfterLog: true,
    });
    expect(second.version).toBe(2);
    expect(second.parameters).not.toEqual(first.parameters);
    const servedSecond = await world.serve(30);
    expect(new Set(servedSecond.map(({ fit }) => fit))).toEqual(new Set([2]));
    await world.expectTrained(servedSecond, {});
    await world.expectTrained(servedFirst, { fit: 1, knowledge: "as-served" });
    const pinned = await world.serve(20, { fit: 1 });
    expect(new Set(pinned.map(({ fit }) => fit))).toEqual(new Set([1]));
    await world.expectTrained(pinned, { fit: 1 });

    await world.platform.apply([...base, redefined]);
    await expect(world.platform.vector("fraud", { user_id: "u1" }, { request: { amount: 1 } })).rejects.toMatchObject({
      code: "SERVICE_NOT_FITTED",
      message: 'service "fraud" has not been fitted since it was redefined',
      hint: expect.stringContaining("onefold fit --service fraud --labels FILE --train-share") as unknown,
    });
    const third = await world.platform.fit({
      service: "fraud",
      labels: await world.labelsOf(50),
      split: { column: "part", value: "train" },
      boundary: "inclusive",
      allowAfterLog: true,
    });
    expect([third.version, third.split.rowsTrain]).toEqual([3, 33]);
    const servedThird = await world.serve(30);
    expect(Object.keys(servedThird[0]!.features)).toEqual(["payments_1h", "mean_1d", "shop", "ratio"]);
    await world.expectTrained(servedThird, {});

    // A fit brings the definition that it is of; its own functions are needed for that, and not loaded any more.
    const code = { code: "FINGERPRINT_MISMATCH" };
    await expect(world.platform.train({ service: "fraud", labels: "labels.csv", fit: 1 })).rejects.toMatchObject(code);
    expect((await world.platform.audit()).missingReasons).toEqual([
      expect.stringContaining("service fraud cannot be computed"),
    ]);
    await world.platform.close();
    await world.openAgain([...base, fraud]);
    await world.expectTrained(servedFirst, { fit: 1, knowledge: "as-served" });
    const report = await world.platform.audit();
    expect(report).toMatchObject({ vectors: 40 + 30 + 20 + 30, mismatched: 0, missing: 0, pending: 0, clean: true });
    // all values of all vectors: what was read, and what was made of it
    expect(report.compared).toBe(120 * 3 + 90 * 7 + 30 * 4);
  });

  it("is found out by the audit where a logged value is one bit from what its fit gives", async () => {
    await world.pay(40);
    await world.platform.fit({
      service: "fraud",
      labels: await world.labelsOf(30),
      split: { share: 1 },
      boundary: "inclusive",
      allowAfterLog: true,
    });
    await world.serve(10);
    await world.platform.settle();
    expect((await world.platform.audit()).clean).toBe(true);
    await world.platform.close();
    const log = join(world.folder, "data", "serving-log");
    const [file] = await readdir(log);
    const lines = (await readFile(join(log, file!), "utf8")).trim().split("\n");
    const tampered = JSON.parse(lines[0]!) as { computed: { values: number[] } };
    // mean_1d is the second of the vector
    const view_ = new DataView(new ArrayBuffer(8));
    view_.setFloat64(0, tampered.computed.values[1]!);
    view_.setBigUint64(0, view_.getBigUint64(0) ^ 1n);
    tampered.computed.values[1] = view_.getFloat64(0);
    await writeFile(join(log, file!), `${[JSON.stringify(tampered), ...lines.slice(1)].join("\n")}\n`);
    await world.openAgain([...base, fraud]);
    const report = await world.platform.audit();
    expect(report).toMatchObject({ mismatched: 1, clean: false });
    expect(report.firstMismatches[0]).toMatchObject({ kind: "computed", feature: "mean_1d", view: "spending@1" });
  });

  it("is fitted to the rows of the train split alone, as they were known at their time", async () => {
    await world.pay(60);
    const labels = await world.labelsOf(40);
    const rows = (await readFile(labels, "utf8")).trim().split("\n");
    const half = at(world.step * 3.5);
    const options = { service: "fraud", labels, boundary: "inclusive", allowAfterLog: true } as const;
    const byTime = await world.platform.fit({ ...options, split: { until: half } });
    const kept = rows.filter((line, i) => i === 0 || parseMicros(line.split(",")[1]!) < half);
    expect(byTime.split).toEqual({
      train: `label time < ${formatMicros(half)}`,
      rowsTrain: kept.length - 1,
      rowsTotal: 40,
    });
    await writeFile(labels, `${kept.join("\n")}\n`);
    const alone = await world.platform.fit({ ...options, split: { share: 1 } });
    expect(alone.parameters).toEqual(byTime.parameters);
    // later payments change nothing of what was known then
    await world.pay(20);
    expect((await world.platform.fit({ ...options, split: { share: 1 } })).parameters).toEqual(alone.parameters);
    expect(byTime.training).toMatchObject({ services: [{ name: "fraud", fit: null }], spine: { rows: 40 } });
  });

  it("can be stopped while it is fitted, and nothing is stored", async () => {
    await world.pay(30);
    const stop = new AbortController();
    const phases: string[] = [];
    const fitting = world.platform.fit({
      service: "fraud",
      labels: await world.labelsOf(20),
      split: { share: 1 },
      boundary: "inclusive",
      allowAfterLog: true,
      signal: stop.signal,
      onProgress: ({ phase, done, total }) => {
        phases.push(`${phase} ${done} of ${total}`);
        if (phase === "fitting" && done === 2) stop.abort();
      },
    });
    await expect(fitting).rejects.toMatchObject({ code: "CANCELLED" });
    expect(phases.at(-1)).toBe("fitting 2 of 6");
    expect(world.platform.fits("fraud")).toEqual([]);
  });

  it("says what it is made of: metadata, manifest, registry and its fits", async () => {
    await world.pay(30);
    const options = {
      service: "fraud",
      labels: await world.labelsOf(20),
      boundary: "inclusive",
      allowAfterLog: true,
    } as const;
    const fitted = await world.platform.fit({ ...options, split: { share: 0.5 } });
    const { metadata } = await world.platform.vector(
      "fraud",
      { user_id: "u1" },
      { request: { amount: 999 }, metadata: "full" },
    );
    expect(metadata["fit"]).toBe(1);
    expect(metadata["missing_features"]).toContain("ratio");
    const details = metadata["features"] as Record<string, unknown>;
    expect(details["mean_1d"]).toMatchObject({
      view: "spending@1",
      transformation: "standardize(log1p(impute(mean_1d, median)))",
    });
    // what failed is the on-demand view beneath it
    expect(details["ratio"]).toMatchObject({
      status: "ERROR",
      code: "ON_DEMAND_FAILED",
      view: "unusual@1",
      transformation: expect.any(String) as string,
      exact: false,
    });
    expect(details["payments_1h"]).not.toHaveProperty("transformation");
    const { manifest } = await world.platform.train(options);
    expect(manifest.services[0]!.fit).toEqual({ version: 1, sha256: fitted.sha256 });
    expect(manifest.features[1]).toMatchObject({
      name: "mean_1d",
      view: "spending@1",
      feature: "standardize(log1p(impute(mean_1d, median)))",
    });
    expect(await world.platform.request("GET", "/services/fraud/fits")).toMatchObject({
      service: "fraud",
      fits: [{ fit: 1, is_current: true, sha256: fitted.sha256, split: { rows_train: 10, rows_total: 20 } }],
    });
    expect(await world.platform.request("GET", "/registry/services/fraud")).toMatchObject({
      omit: ["shop"],
      request: [{ name: "amount", type: "float64", nullable: false }],
      transform: expect.arrayContaining([
        { name: "busy", type: "int64", transformation: "quantileBins(payments_1h, 3 bins)" },
      ]) as unknown,
    });
  });

  it("is refused until it is fitted, and where no row is there to be fitted to", async () => {
    await world.pay(5);
    const vector = (fit?: number): Promise<unknown> =>
      world.platform.vector(
        "fraud",
        { user_id: "u1" },
        { request: { amount: 1 }, ...(fit === undefined ? {} : { fit }) },
      );
    await expect(vector()).rejects.toMatchObject({ code: "SERVICE_NOT_FITTED", status: 409 });
    await expect(vector(7)).rejects.toMatchObject({ code: "FIT_UNKNOWN", status: 404 });
    const labels = await world.labelsOf(4);
    const options = { service: "fraud", labels, boundary: "inclusive", allowAfterLog: true } as const;
    await expect(world.platform.train(options)).rejects.toMatchObject({ code: "SERVICE_NOT_FITTED" });
    await expect(world.platform.fit({ ...options, split: { until: START } })).rejects.toMatchObject({
      code: "FIT_IMPOSSIBLE",
      message: "none of the 4 label rows is in the train split",
    });
    await expect(world.platform.fit({ ...options, split: { share: 2 } })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
    await expect(world.platform.fit({ ...options, split: { column: "prt", value: "a" } })).rejects.toMatchObject({
      code: "SPINE_INVALID",
      candidates: ["user_id", "t", "amount", "token", "part"],
    });
    expect(world.platform.fits("fraud")).toEqual([]);
    const plain: ServiceDefinition = service("plain", { features: [spending] });
    await world.platform.apply([...base, plain]);
    await expect(world.platform.fit({ ...options, service: "plain", split: { share: 1 } })).rejects.toMatchObject({
      code: "FIT_IMPOSSIBLE",
      message: 'service "plain" has no transformation that is fitted',
    });
  });
});

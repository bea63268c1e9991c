/**
 * Vectors of several fits of one service, and of several of its definitions, in one file of label rows: each row is
 * trained with as it was served.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, impute, mean, quantileBins, service, standardize, view } from "../../src/index.ts";
import { decodeVectorToken, encodeVectorToken } from "../../src/schema/vector-token.ts";
import { base, FittedWorld, payments, type Served, spending, unusual, user } from "./fitted-world.ts";

/** The features of spending, of another window of events. */
const visits = view("visits", {
  entity: user,
  source: payments,
  features: { payments_1h: count().over("2h"), mean_1d: mean("amount").over("7d") },
});

let world: FittedWorld;

beforeEach(async () => {
  world = await FittedWorld.open(base);
});

afterEach(() => world.close());

function shuffled<T>(list: readonly T[]): T[] {
  const places = list.map((one) => ({ one, place: world.random.next() }));
  return places.sort((a, b) => a.place - b.place).map(({ one }) => one);
}

/** As tokens were before they carried the fit. */
function withoutFit(token: string): string {
  const { fit, ...rest } = decodeVectorToken(token);
  expect(fit).toBeDefined();
  return encodeVectorToken(rest);
}

describe("label rows that were served", () => {
  it("gives the very bits that were served of several fits in one spine, each row by its own fit and definition", async () => {
    const fit = { service: "risk", split: { share: 1 }, boundary: "inclusive", allowAfterLog: true } as const;
    const first = service("risk", {
      features: [spending.pick("payments_1h", "mean_1d"), unusual],
      transform: { mean_1d: standardize(impute("mean_1d", "median")), busy: quantileBins("payments_1h", { bins: 3 }) },
    });
    await world.platform.apply([...base, first]);
    await world.pay(50);
    await world.platform.fit({ ...fit, labels: await world.labelsOf(40) });
    const byFit1 = await world.serve(30, { service: "risk" });
    await world.pay(30);
    await world.platform.fit({ ...fit, labels: await world.labelsOf(70) });
    const byFit2 = await world.serve(30, { service: "risk" });
    const again1 = await world.serve(10, { service: "risk", fit: 1 });
    // the same columns, of another view and with other bins
    const redone = service("risk", {
      features: [visits.pick("payments_1h", "mean_1d"), unusual],
      transform: { mean_1d: standardize(impute("mean_1d", "mean")), busy: quantileBins("payments_1h", { bins: 4 }) },
    });
    await world.platform.apply([...base, visits, redone]);
    await world.platform.fit({ ...fit, labels: await world.labelsOf(80) });
    const byFit3 = await world.serve(30, { service: "risk" });
    const all = shuffled([...byFit1, ...byFit2, ...again1, ...byFit3]);
    expect(new Set(all.map((each) => each.fit))).toEqual(new Set([1, 2, 3]));

    const manifest = await world.expectTrained(all, { service: "risk", knowledge: "as-served" });
    const fits = world.platform.fits("risk");
    expect(manifest.services).toMatchObject([{ fit: null }]);
    expect(manifest.services[0]!.fits).toEqual(
      [40, 30, 30].map((rows, i) => {
        const { version, sha256, fingerprint } = fits[i]!;
        return { version, sha256, fingerprint, rows };
      }),
    );
    expect(manifest.views.map(({ name }) => name).sort()).toEqual(["spending", "visits"]);
    // A fit that is asked for is that of all rows, whatever they carry.
    const asked = await world.platform.train({
      service: "risk",
      labels: await world.writeLabels(all),
      knowledge: "as-served",
      fit: 2,
    });
    expect(asked.manifest.services[0]!.fits).toMatchObject([{ version: 2, rows: 100 }]);
    // A token from before tokens carried a fit means what it meant: the newest fit of the service as it is.
    const stripped = byFit3.map((each) => ({ ...each, token: withoutFit(each.token) }));
    const newest = await world.expectTrained(stripped, { service: "risk", knowledge: "as-served" });
    expect(newest.services[0]!.fit?.version).toBe(3);
  });

  it("refuses rows of a fit that does not go with the service as it is, and says what differs", async () => {
    const fit = { split: { share: 1 }, boundary: "inclusive", allowAfterLog: true } as const;
    const transform = { mean_1d: standardize("mean_1d") };
    const wide = service("risk", { features: [spending, unusual], transform });
    const other = service("other", { features: [spending, unusual], transform });
    const narrow = service("risk", {
      features: [spending.pick("payments_1h", "mean_1d"), unusual],
      transform: { ...transform, busy: quantileBins("payments_1h", { bins: 3 }) },
    });
    await world.platform.apply([...base, wide, other]);
    await world.pay(30);
    const labels = await world.labelsOf(20);
    await world.platform.fit({ ...fit, service: "risk", labels });
    await world.platform.fit({ ...fit, service: "other", labels, split: { share: 0.5 } });
    const served = await world.serve(3, { service: "risk" });
    const foreign = await world.serve(1, { service: "other" });
    await world.platform.settle();
    const train = async (rows: readonly Served[], asked?: number): Promise<unknown> =>
      world.platform.train({
        service: "risk",
        labels: await world.writeLabels(rows),
        knowledge: "as-served",
        ...(asked === undefined ? {} : { fit: asked }),
      });
    await expect(train([served[0]!, ...foreign])).rejects.toMatchObject({
      code: "SPINE_INVALID",
      message: "a vector was served with another fit 1 than risk has",
      where: "column token, row 2 (counted from 1, without a header)",
    });
    await world.platform.apply([...base, narrow]);
    await world.platform.fit({ ...fit, service: "risk", labels });
    await expect(train(served)).rejects.toMatchObject({
      code: "SPINE_INVALID",
      message: "a vector was served with fit 1 of risk, and its definition then had shop (string); had no busy (int64)",
      where: "column token, row 1 (counted from 1, without a header)",
      hint: "train the rows of fit 1 by themselves, with --fit 1",
    });
    await expect(train(served, 1)).resolves.toMatchObject({ rowCount: 3 });
    const unknown = decodeVectorToken(served[0]!.token);
    const token = encodeVectorToken({ ...unknown, fit: { version: 9, sha256: "0".repeat(64) } });
    await expect(train([{ ...served[1]!, token }])).rejects.toMatchObject({
      code: "FIT_UNKNOWN",
      where: "column token, row 1 (counted from 1, without a header)",
    });
  });
});

/** Of features that take single values: the events that count are the ones whose values were taken. */
import { describe, expect, it } from "vitest";
import { MICROS_PER_MINUTE, type Micros, parseMicros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type ViewFold } from "../../src/fold/view-fold.ts";
import { col, entity, first, firstK, last, lastK, stream, t, view } from "../../src/index.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { FeatureHistory } from "../../src/training/explain.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 5);
const START = parseMicros("2026-03-01T00:00:00Z");

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), at: t.timestamp(), amount: t.float64().nullable(), big: t.bool() },
  eventTime: "at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: {
    last_3: lastK("amount", 3),
    first_3: firstK("amount", 3),
    last_3_1h: lastK("amount", 3).over("1h"),
    first_3_1h: firstK("amount", 3).over("1h"),
    last_2_of_8: lastK("amount", 2).over({ last: 8 }),
    first_2_big: firstK("amount", 2).where(col("big").eq(true)),
    last_1h: last("amount").over("1h"),
    first_1h: first("amount").over("1h"),
  },
});

describe("the events that a value was taken from", () => {
  it(`are those that count, and no others (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const fold: ViewFold = compileViewFold(spending, payments, user);
    for (let round = 0; round < 40; round++) {
      const events = Array.from({ length: random.integer(0, 30) }, (_, offset) => {
        const knownTime = (START + offset * 7 * MICROS_PER_MINUTE) as Micros;
        const late = random.oneIn(3) ? random.integer(1, 12) * 7 : 0;
        const eventTime = (knownTime - late * MICROS_PER_MINUTE) as Micros;
        const amount = random.oneIn(5) ? null : random.integer(1, 1000) / 7;
        return { offset, eventTime, knownTime, row: ["ada", eventTime, amount, random.oneIn(2)] };
      });
      const asOf = (START + random.integer(0, 240) * MICROS_PER_MINUTE) as Micros;
      for (const [slot, feature] of spending.features.entries()) {
        const history = new FeatureHistory({ definition: spending, source: payments, fold }, feature, asOf);
        for (const event of events) history.fold(event);
        const read = createReadBuffer(fold.features.length);
        fold.read(history.state, asOf, read);
        const roles = history.roles(read.windowStarts[slot]!);
        const taken = history.events
          .filter((_, i) => roles[i] === "counted")
          .toSorted((a, b) => a.eventTime - b.eventTime || a.offset - b.offset)
          .map(({ input }) => input);
        const value = read.values[slot]!;
        const wanted = value === null ? [] : Array.isArray(value) ? value : [value];
        expect(taken, `${feature.name}, round ${round}`).toEqual(wanted);
      }
    }
  });

  it("leave the others a role that says which values the feature takes", () => {
    const fold: ViewFold = compileViewFold(spending, payments, user);
    const rolesOf = (name: string): string[] => {
      const slot = spending.features.findIndex((feature) => feature.name === name);
      const history = new FeatureHistory(
        { definition: spending, source: payments, fold },
        spending.features[slot]!,
        (START + 10 * MICROS_PER_MINUTE) as Micros,
      );
      for (const [offset, amount] of [1, 2, null, 4, 5].entries()) {
        const at = (START + offset * MICROS_PER_MINUTE) as Micros;
        history.fold({ offset, eventTime: at, knownTime: at, row: ["ada", at, amount, true] });
      }
      return history.roles(Number.NEGATIVE_INFINITY);
    };
    expect(rolesOf("last_3")).toEqual(["not-among-last", "counted", "null-input", "counted", "counted"]);
    expect(rolesOf("first_3")).toEqual(["counted", "counted", "null-input", "counted", "not-among-first"]);
    expect(rolesOf("last_1h").at(-1)).toBe("counted");
    expect(rolesOf("last_1h").filter((role) => role === "not-among-last")).toHaveLength(3);
  });
});

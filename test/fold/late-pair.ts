/**
 * A view whose buckets are merged soon, folded beside the naive oracle.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { planView } from "../../src/fold/view-plan.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import { count, decayedSum, entity, first, firstK, last, lastK, max, stream, sum, t, view } from "../../src/index.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";

export const SECOND: number = 1_000_000;
export const HOUR: number = 3600 * SECOND;
export const START: number = 1_767_225_600 * SECOND;

const source = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.int64() },
  eventTime: "at",
});
const user = entity("user", { user: t.string() });

function viewWith(options: { readonly forgetAfter?: "1h" }) {
  return view("late", {
    version: 1,
    entity: user,
    source,
    exactEvents: 2,
    ...options,
    features: {
      count_1h: count().over("1h"),
      sum_10m: sum("amount").over("10m"),
      max_1h: max("amount").over("1h"),
      first_1h: first("amount").over("1h"),
      last_1h: last("amount").over("1h"),
      first_3_1h: firstK("amount", 3).over("1h"),
      last_3_1h: lastK("amount", 3).over("1h"),
      decayed_1h: decayedSum("amount", { halfLife: "10m" }).over("1h"),
      first: first("amount"),
      last: last("amount"),
      last_2: sum("amount").over({ last: 2 }),
      events: count(),
    },
  });
}

/** One fold and its oracle, fed the same events. */
export class Pair {
  readonly #view: ReturnType<typeof viewWith>;
  readonly #fold;
  readonly #oracle: NaiveOracle;
  readonly #read;
  readonly #state;
  #offset = 0;
  knownTime = START;
  /** Reads whose window began later than asked, because a merged bucket straddles its edge. */
  shifted = 0;

  constructor(options: { readonly forgetAfter?: "1h" } = {}) {
    this.#view = viewWith(options);
    this.#fold = compileViewFold(this.#view, source, user);
    this.#oracle = new NaiveOracle(this.#view, source);
    this.#read = createReadBuffer(this.#fold.features.length);
    this.#state = this.#fold.empty();
  }

  add(eventTime: number): void {
    this.knownTime = Math.max(this.knownTime, eventTime);
    const offset = this.#offset++;
    const event = {
      offset,
      eventTime: eventTime as Micros,
      knownTime: this.knownTime as Micros,
      row: ["u", eventTime, offset % 97],
    };
    strictEqual(this.#fold.fold(this.#state, event).kind, "folded");
    this.#oracle.add(event);
  }

  check(asOf: number, where: string): void {
    this.#fold.read(this.#state, asOf as Micros, this.#read);
    for (const [i, { name, aggregation }] of this.#view.features.entries()) {
      const { over } = aggregation;
      const start = over?.kind === "time" ? this.#read.windowStarts[i]! : undefined;
      if (start !== undefined && over?.kind === "time") {
        const later = start - (asOf - over.micros);
        ok(later >= 0 && later * 60 < over.micros, `${where}, ${name} at ${asOf}: ${later} later than asked`);
        if (later > 0) this.shifted++;
      }
      const { value, tolerance } = this.#oracle.read(i, asOf, start);
      const found = this.#read.values[i]!;
      if (typeof value === "number" && tolerance > 0) {
        ok(
          Math.abs((found as number) - value) <= tolerance,
          `${where}, ${name} at ${asOf}: ${String(found)}, not ${value}`,
        );
      } else deepStrictEqual(found, value, `${where}, ${name} at ${asOf}`);
    }
  }

  /** First and last times of the merged buckets. */
  edges(): number[] {
    const { numbers } = this.#state.list.buckets;
    const { stride } = planView(this.#view, source, user).state.list;
    return Array.from({ length: this.#state.list.bucketCount }, (_, i) => [
      numbers[i * stride]!,
      numbers[i * stride + 1]!,
    ]).flat();
  }
}

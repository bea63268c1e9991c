/**
 * A stream whose events come late, early, tied, repeated and poisonous, views of every kind of feature on it, and
 * what the naive oracle says of them.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition, ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type StatusName, STATUS_NAMES, type ViewFold } from "../../src/fold/view-fold.ts";
import {
  col,
  count,
  custom,
  decayedSum,
  entity,
  ewma,
  first,
  firstK,
  last,
  lastK,
  lit,
  mean,
  service,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { Value } from "../../src/schema/value.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";
import type { SeededRandom } from "../../src/testing/random.ts";

export const START: Micros = parseMicros("2026-03-01T00:00:00Z");
export const SECOND = 1_000_000;
export const MINUTE: number = 60 * SECOND;
export const ACCOUNTS: readonly string[] = ["ann", "bob", "cy|d"];

const account = entity("account", { account: t.string() });
const shop = entity("shop", { shop: t.string() });
export const payments = stream("payments", {
  columns: {
    id: t.string().nullable(),
    account: t.string(),
    shop: t.string().nullable(),
    amount: t.int64().nullable(),
    card: t.bytes().nullable(),
    at: t.timestamp(),
  },
  derive: { large: col("amount").gt(50) },
  eventTime: "at",
  id: "id",
  dedupeWithin: "3650d",
  maxFuture: "1m",
});

/** Throws for one amount, and merges by adding. Its name tells it from others: what a closure holds does not. */
function unluckyAt(amount: number) {
  return custom(`unlucky_at_${amount}`, {
    output: t.int64(),
    empty: () => 0,
    add: (state: number, input: number) => {
      if (input === amount) throw new Error(`no luck with ${input}`);
      return state + 1;
    },
    merge: (earlier, later) => earlier + later,
    read: (state) => state,
  });
}

/** Amounts from 8,192 on make the predicate of `safe_sum` leave the safe range. */
export function accountView(name: string, version: number | "dev" = 1, unlucky = 13): ViewDefinition {
  const luck = unluckyAt(unlucky);
  return view(name, {
    version: version as 1,
    entity: account,
    source: payments,
    exactEvents: 4,
    ttl: "30d",
    features: {
      events: count(),
      events_10s: count().over("10s"),
      safe_sum: sum("amount")
        .where(
          col("amount")
            .multiply(lit(2 ** 40))
            .gte(0),
        )
        .over("1m"),
      mean_10m: mean("amount").where(col("large")).over("10m"),
      unlucky_1m: luck("amount").over("1m"),
      unlucky: luck("amount"),
      first: first("amount"),
      last: last("amount"),
      last_2: sum("amount").over({ last: 2 }),
      first_3: firstK("amount", 3),
      last_3: lastK("amount", 3),
      smoothed: ewma("amount", { halfLife: "1m" }),
      decayed_1h: decayedSum("amount", { halfLife: "10s" }).over("1h"),
    },
  }) as unknown as ViewDefinition;
}

export const shopView: ViewDefinition = view("by_shop", {
  version: 1,
  entity: shop,
  source: payments,
  features: { payments: count() },
}) as unknown as ViewDefinition;

/** With a service a numbered view, under its name. */
export function definitionsWith(...views: ViewDefinition[]): readonly Definition[] {
  const services = views.flatMap((one) =>
    one.version === "dev" ? [] : [service(one.name, { features: [one as never] })],
  );
  return [account, shop, payments, ...views, ...services] as readonly Definition[];
}

export interface LateEvent {
  readonly id: string | null;
  readonly account: string;
  readonly shop: string | null;
  readonly amount: number | null;
  readonly card: Uint8Array | null;
  readonly eventTime: Micros;
  readonly knownTime: Micros;
  readonly offset: number;
}

/** Known times never fall; event times lie before or (up to a minute) after, at and beside windows' edges. */
export function randomLateEvents(random: SeededRandom, length: number): LateEvent[] {
  let knownTime = START + MINUTE;
  const lateness = [0, 0, 0, 1, 10 * SECOND, 10 * SECOND + 1, MINUTE - 1, MINUTE, 11 * MINUTE, 3000 * MINUTE];
  return Array.from({ length }, (_, offset): LateEvent => {
    if (!random.oneIn(3)) knownTime += random.pick([1, SECOND, 5 * SECOND, random.integer(0, 20 * SECOND)]);
    if (random.oneIn(40)) knownTime += 30 * MINUTE;
    const eventTime = knownTime - random.pick(lateness) + (random.oneIn(15) ? random.integer(0, MINUTE) : 0);
    return {
      id: random.oneIn(6) ? null : `e${offset}${random.oneIn(5) ? "\u0000\n\u001f|=#" : ""}`,
      account: random.pick(ACCOUNTS),
      shop: random.oneIn(4) ? null : random.pick(["x", "y"]),
      amount: random.oneIn(8) ? null : random.pick([1, 13, 14, 8191, 8192, random.integer(-5, 100)]),
      card: random.oneIn(3) ? null : Uint8Array.of(random.integer(0, 255)),
      eventTime: eventTime as Micros,
      knownTime: knownTime as Micros,
      offset,
    };
  });
}

export function rowOf({ id, account: of, shop: place, amount, card, eventTime }: LateEvent): Record<string, unknown> {
  const bytes = card === null ? null : Buffer.from(card).toString("base64");
  return { id, account: of, shop: place, amount, card: bytes, at: { micros: eventTime } };
}

export function at(minutes: number): Micros {
  return (minutes === 0 ? START : Math.round(minutes * MINUTE)) as Micros;
}

export async function openAt(
  dataDir: string,
  definitions: readonly Definition[],
  now: Micros,
): Promise<{ platform: Platform; clock: ReplayClock }> {
  const clock = new ReplayClock(now);
  const platform = await openPlatform({ dataDir, clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
  return { platform, clock };
}

/** What a dead letter of the fold says, but for what differs from mode to mode: its place and when it was written. */
export interface Letter {
  readonly code: string;
  readonly message: string;
  readonly payload: unknown;
}

/** Open ones of a view, in an order of their own. */
export async function lettersOf(platform: Platform, of: string): Promise<Letter[]>;
export async function lettersOf(platform: Platform, of: string, ids: "ids"): Promise<(Letter & { id: string })[]>;
export async function lettersOf(platform: Platform, of: string, ids?: "ids"): Promise<Letter[]> {
  await platform.settle();
  const letters = await platform.deadLetters().list({ stage: "fold", limit: Number.POSITIVE_INFINITY });
  return letters
    .filter((letter) => letter.view?.split("@")[0] === of)
    .map(({ id, code, message, payload }) =>
      ids === undefined ? { code, message, payload } : { id, code, message, payload },
    )
    .toSorted((a, b) => compare(a, b));
}

function compare(a: Letter, b: Letter): number {
  const [left, right] = [a, b].map(({ code, message, payload }) => JSON.stringify([payload, code, message]));
  return left! < right! ? -1 : left! > right! ? 1 : 0;
}

export function statesOf(platform: Platform, of: string, version: number | "dev" = 1): Map<string, string> {
  return new Map(
    Array.from(platform.exportStates(of, version), ({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

const fold: ViewFold = compileViewFold(accountView("live"), payments, account);

/** Values and statuses by account. */
export function valuesOf(platform: Platform, of: string, asOf: Micros): Map<string, unknown> {
  const read = createReadBuffer(fold.features.length);
  return new Map(
    Array.from(platform.exportStates(of, 1), ({ key, bytes }) => {
      fold.read(fold.decode(new Uint8Array(bytes)), asOf, read);
      return [key, [[...read.values], [...read.statuses], [...read.windowStarts]]];
    }),
  );
}

/** The naive oracle of each account, and the events it takes for poison. */
export class Oracles {
  readonly poisoned: LateEvent[] = [];
  readonly #events: readonly LateEvent[];
  readonly #unlucky: number;
  readonly #view: ViewDefinition;
  readonly #byAccount = new Map<string, NaiveOracle>();
  /** Folded beside it: only the fold says where a window truly starts. */
  readonly #states = new Map<string, ReturnType<typeof fold.empty>>();

  constructor(events: readonly LateEvent[], unlucky = 13) {
    this.#events = events;
    this.#unlucky = unlucky;
    this.#view = accountView("live", 1, unlucky);
    for (const event of events) {
      const { id, account: of, shop: place, amount, card, eventTime, knownTime, offset } = event;
      const row: Value[] = [id, of, place, amount, card, eventTime, amount === null ? null : amount > 50];
      const oracle = this.#byAccount.get(of) ?? new NaiveOracle(this.#view, payments);
      this.#byAccount.set(of, oracle);
      const state = this.#states.get(of) ?? fold.empty();
      this.#states.set(of, state);
      if (unlucky === 13) fold.fold(state, { offset, eventTime, knownTime, row });
      if (oracle.add({ offset, eventTime, knownTime, row }) === "poison") this.poisoned.push(event);
    }
  }

  letters(): Letter[] {
    return this.poisoned
      .map((event) => ({ code: "EVENT_POISON", message: this.#reason(event), payload: payloadOf(event) }))
      .toSorted(compare);
  }

  keylessLetters(): Letter[] {
    const message = "an entity key column is null or missing";
    return this.#events
      .filter((event) => event.shop === null)
      .map((event) => ({ code: "KEY_MISSING", message, payload: payloadOf(event) }))
      .toSorted(compare);
  }

  checkState(of: string, asOf: Micros, hex: string | undefined): void {
    if (hex === undefined) {
      strictEqual(this.#byAccount.get(of)?.lastEventTime ?? Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY);
      return;
    }
    const read = createReadBuffer(fold.features.length);
    fold.read(fold.decode(Uint8Array.from(Buffer.from(hex, "hex"))), asOf, read);
    this.check(
      of,
      asOf,
      read.values,
      read.statuses.map((status) => STATUS_NAMES[status]!),
    );
  }

  /** Holds the values of one account at a time against the oracle's. */
  check(of: string, asOf: number, values: readonly Value[], statuses?: readonly StatusName[]): void {
    const read = createReadBuffer(fold.features.length);
    fold.read(this.#states.get(of) ?? null, asOf as Micros, read);
    const oracle = this.#byAccount.get(of) ?? new NaiveOracle(this.#view, payments);
    for (const [i, { name, aggregation }] of this.#view.features.entries()) {
      const start = aggregation.over?.kind === "time" ? read.windowStarts[i] : undefined;
      const expected = oracle.read(i, asOf, start);
      const where = `${name} of ${of} at ${asOf}`;
      if (statuses !== undefined) strictEqual(statuses[i], expected.status, where);
      if (typeof expected.value === "number" && expected.tolerance > 0) {
        ok(Math.abs((values[i] as number) - expected.value) <= expected.tolerance, where);
      } else deepStrictEqual(values[i], expected.value, where);
    }
  }

  #reason({ amount }: LateEvent): string {
    return amount === this.#unlucky
      ? `no luck with ${amount}`
      : `${amount} * ${2 ** 40} lies outside the safe int64 range`;
  }
}

function payloadOf(event: LateEvent): unknown {
  return { ...rowOf(event), at: event.eventTime };
}

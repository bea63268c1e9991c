/**
 * A platform with features of every type, and random events for it: nulls, numbers that are not finite, keys of
 * several columns with every character, and request data.
 */
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import {
  count,
  type Definition,
  entity,
  last,
  lastK,
  mean,
  onDemand,
  service,
  stream,
  t,
  view,
} from "../../src/index.ts";
import type { SeededRandom } from "../../src/testing/random.ts";

/** When the first event may come. */
export const START: Micros = parseMicros("2026-03-01T00:00:00Z");

const person = entity("person", { name: t.string() });
const place = entity("place", { region: t.string(), number: t.int64() });
const visits = stream("visits", {
  columns: {
    name: t.string(),
    region: t.string(),
    number: t.int64(),
    at: t.timestamp(),
    whole: t.int64().nullable(),
    wide: t.int64({ wide: true }).nullable(),
    ratio: t.float64().nullable(),
    note: t.string().nullable(),
    known: t.bool().nullable(),
    due: t.timestamp().nullable(),
    digest: t.bytes().nullable(),
  },
  eventTime: "at",
  allowNonFinite: true,
});
const ofPerson = view("of_person", {
  entity: person,
  source: visits,
  features: {
    whole: last("whole"),
    wide: last("wide"),
    ratio: last("ratio"),
    note: last("note"),
    known: last("known"),
    due: last("due"),
    digest: last("digest"),
    ratios: lastK("ratio", 3),
    notes: lastK("note", 3),
    wides: lastK("wide", 2),
  },
});
const ofPlace = view("of_place", {
  entity: place,
  source: visits,
  features: { visits_1h: count().over("1h"), mean_whole_1h: mean("whole").over("1h") },
});
const computed = onDemand("computed", {
  inputs: [ofPlace],
  request: { amount: t.float64(), label: t.string().nullable() },
  outputs: { to_mean: t.float64(), shout: t.string(), parts: t.array(t.float64()) },
  compute: ({ mean_whole_1h, amount, label }) => ({
    to_mean: mean_whole_1h === null || mean_whole_1h === 0 ? null : amount / mean_whole_1h,
    shout: label === null ? null : `${label}!`,
    parts: [amount / 3, null],
  }),
});
const everything = service("everything", { features: [ofPerson, ofPlace, computed] });
const numbers = service("numbers", { features: [ofPerson.pick("whole", "ratio", "known", "due"), ofPlace] });
export const definitions: readonly Definition[] = [
  person,
  place,
  visits,
  ofPerson,
  ofPlace,
  computed,
  everything,
  numbers,
];

/** One of them never comes. */
export const NAMES: readonly string[] = ["ada", "Zoë|Ünder\\", "\u{1f680}", "nobody", "a b"];
export const REGIONS: readonly string[] = ["north", "so|uth", "öst"];

function maybe<T>(random: SeededRandom, value: T): T | null {
  return random.oneIn(4) ? null : value;
}

function randomFloat(random: SeededRandom): number | string {
  const magnitude = 10 ** random.integer(-30, 30);
  return random.pick([
    0,
    0.1,
    1 / 3,
    random.next() * magnitude,
    -random.next() * magnitude,
    5e-324,
    1e21,
    "NaN",
    "-Infinity",
  ]);
}

/** One event at a time; a visitor and a place may come again. */
export function randomVisit(random: SeededRandom, at: Micros): Record<string, unknown> {
  return {
    name: random.pick(NAMES.filter((name) => name !== "nobody")),
    region: random.pick(REGIONS),
    number: random.integer(-1, 2),
    at: { micros: at },
    whole: maybe(random, random.pick([0, -7, 2 ** 53 - 1, random.integer(-1000, 1000)])),
    wide: maybe(random, random.pick(["9223372036854775807", "-9007199254740993", "12"])),
    ratio: maybe(random, randomFloat(random)),
    note: maybe(random, random.pick(["", "plain", "two\r\nlines", "Ünïcode \u{1f680}", "$3\r\nabc\r\n"])),
    known: maybe(random, random.oneIn(2)),
    due: maybe(random, { micros: START + random.integer(0, 1_000_000_000) * 1001 }),
    digest: maybe(random, Buffer.from([random.integer(0, 255), 13, 10, 255, 0]).toString("base64")),
  };
}

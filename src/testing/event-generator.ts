/** Random sequences of events from a seed: late, tied and out of order, with nulls, bursts and gaps of days. */
import {
  type Micros,
  MICROS_PER_DAY as DAY,
  MICROS_PER_HOUR as HOUR,
  MICROS_PER_SECOND as SECOND,
} from "../base/micros.ts";
import { compileDerived } from "../fold/derive.ts";
import type { FoldEvent } from "../fold/view-fold.ts";
import type { Value } from "../schema/value.ts";
import { generatedSource } from "./generated-source.ts";
import type { SeededRandom } from "./random.ts";

/** 2026-01-01T00:00:00Z. */
const START = 1_767_225_600 * SECOND;

export interface GeneratedEvent extends FoldEvent {
  readonly key: string;
}

/** Offsets rise by one or more, known times never fall; event times do as they like. */
export function randomEvents(random: SeededRandom, count: number, keys: readonly string[] = ["k"]): GeneratedEvent[] {
  const derived = compileDerived(generatedSource);
  const pace = random.pick([200, 20_000, SECOND, 20 * SECOND, 600 * SECOND, 2 * HOUR]);
  const lateness = random.pick([0, pace * 3, pace * 60, HOUR, 2 * DAY]);
  const grain = random.pick([1, 1, 1000, SECOND, 60 * SECOND]);
  let offset = random.pick([-(2 ** 52), -5, 0]);
  let knownTime = START + random.integer(0, 1000) * SECOND;
  return Array.from({ length: count }, () => {
    offset += random.oneIn(10) ? 3 : 1;
    if (!random.oneIn(4)) knownTime += random.integer(0, 2 * pace);
    if (random.oneIn(150)) knownTime += random.integer(0, 3 * DAY);
    const behind = random.oneIn(3) ? random.integer(0, lateness) : 0;
    const ahead = random.oneIn(20) ? random.integer(0, 30 * SECOND) : 0;
    const eventTime = Math.floor((knownTime - behind + ahead) / grain) * grain;
    const key = keys[Math.floor(random.next() * random.next() * keys.length)]!;
    return {
      key,
      offset,
      eventTime: eventTime as Micros,
      knownTime: knownTime as Micros,
      row: derived.derive(randomRow(random, key, eventTime)),
    };
  });
}

function randomRow(random: SeededRandom, key: string, eventTime: number): Value[] {
  const orNull = (value: Value): Value => (random.oneIn(6) ? null : value);
  return [
    key,
    eventTime,
    orNull(randomAmount(random)),
    orNull(random.oneIn(60) ? random.pick([2 ** 52, 9_007_199_254_740_991, -(2 ** 52)]) : random.integer(-3, 9)),
    orNull(random.oneIn(40) ? "moody" : random.pick(["a", "b", "c", "déjà vu", "x\ud800", "😀"])),
    orNull(random.oneIn(2)),
    orNull(Uint8Array.from({ length: random.integer(0, 4) }, () => random.integer(0, 255))),
    orNull(random.pick(["0", "-9223372036854775808", "9223372036854775807", "17"])),
    orNull(random.pick<Value>([[], ["x"], ["x", null, "y"]])),
    orNull(eventTime + random.integer(-DAY, DAY)),
  ];
}

/** Magnitudes far apart, so that a sum without compensation would show. */
function randomAmount(random: SeededRandom): number {
  const sign = random.oneIn(3) ? -1 : 1;
  const magnitude = random.pick([1, 1, 1, 1e-6, 1e6, 1e12]);
  return sign * random.next() * magnitude + 0;
}

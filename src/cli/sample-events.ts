/**
 * The rows that `onefold init` puts beside the sample definitions: three days of payments that end just
 * before now, so that windows of an hour hold something, and labels for some of them.
 */
import { formatMicros, type Micros, MICROS_PER_DAY, MICROS_PER_MINUTE, MICROS_PER_SECOND } from "../base/micros.ts";

const USERS = ["ada", "ben", "cleo", "dora", "emil"] as const;
const COUNTRIES = ["DE", "FR", "IT", null] as const;
const MINUTES_BETWEEN_PAYMENTS = 21;
const LABEL_EVERY = 4;

export interface SampleFiles {
  /** NDJSON, a payment a line. */
  readonly events: string;
  /** CSV: user_id, event_timestamp, is_fraud. */
  readonly labels: string;
}

export function sampleFiles(now: Micros): SampleFiles {
  const random = createRandom(20_260_101);
  const events: string[] = [];
  const labels: string[] = ["user_id,event_timestamp,is_fraud"];
  const start = now - 3 * MICROS_PER_DAY;
  const step = MINUTES_BETWEEN_PAYMENTS * MICROS_PER_MINUTE;
  for (let i = 0; start + i * step < now - MICROS_PER_MINUTE; i++) {
    const paidAt = Math.floor((start + i * step) / MICROS_PER_SECOND) * MICROS_PER_SECOND;
    const user = USERS[Math.floor(random() * USERS.length)]!;
    const isLarge = random() < 0.1;
    const amount = Math.round((isLarge ? 200 + random() * 800 : 5 + random() * 80) * 100) / 100;
    events.push(
      JSON.stringify({
        payment_id: `p${i + 1}`,
        user_id: user,
        paid_at: formatMicros(paidAt as Micros),
        amount,
        country: COUNTRIES[Math.floor(random() * COUNTRIES.length)],
      }),
    );
    // A second later, so that the label sees its own payment and no question of ties arises.
    const labelledAt = formatMicros((paidAt + MICROS_PER_SECOND) as Micros);
    if (i % LABEL_EVERY === 0) labels.push(`${user},${labelledAt},${isLarge && random() < 0.5 ? 1 : 0}`);
  }
  return { events: `${events.join("\n")}\n`, labels: `${labels.join("\n")}\n` };
}

/** Mulberry32: the same rows at every call but for their times. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * What the stream benchmark folds: payments of accounts, into one view of 10 features over 3 windows.
 *
 * Skew: half of the events are of 1% of the accounts, the others of all alike. No event ids: nothing is looked up but
 * states.
 */
import {
  type Definition,
  type ViewDefinition,
  col,
  count,
  entity,
  type EntityDefinition,
  max,
  mean,
  type StreamDefinition,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";

/** Of the source's topic and of the internal one. */
export const PARTITIONS = 8;
const HOT_SHARE = 0.01;

export interface Payment {
  readonly account: string;
  /** RFC 3339. */
  readonly at: string;
  readonly amount: number;
  readonly declined: boolean;
}

const account = entity("account", { account: t.string() });
const declined = col("declined").eq(true);
const features = {
  payments_1h: count().over("1h"),
  spent_1h: sum("amount").over("1h"),
  mean_1h: mean("amount").over("1h"),
  payments_24h: count().over("24h"),
  spent_24h: sum("amount").over("24h"),
  dearest_24h: max("amount").over("24h"),
  declines_24h: count().where(declined).over("24h"),
  spent_7d: sum("amount").over("7d"),
  mean_7d: mean("amount").over("7d"),
  dearest_7d: max("amount").over("7d"),
};

export interface Workload {
  readonly account: EntityDefinition;
  readonly source: StreamDefinition;
  readonly view: ViewDefinition;
  readonly definitions: readonly Definition[];
}

/** On Kafka where a topic is given. */
export function workload(topic?: string): Workload {
  const source = stream("payments", {
    columns: { account: t.string(), at: t.timestamp(), amount: t.float64(), declined: t.bool() },
    eventTime: "at",
    ...(topic === undefined ? {} : { kafka: topic }),
  });
  const spending = view("spending", { entity: account, source, features });
  return { account, source, view: spending, definitions: [account, source, spending] };
}

/** The n-th payment, of one of so many accounts. */
export function payment(n: number, accounts: number, atMillis: number): Payment {
  const chance = mixed(n);
  const among = chance % 2 === 0 ? Math.max(1, Math.round(accounts * HOT_SHARE)) : accounts;
  return {
    account: `a${mixed(chance) % among}`,
    at: new Date(atMillis).toISOString(),
    amount: ((chance % 20_000) + 1) / 100,
    declined: chance % 10 === 0,
  };
}

/** A number that looks like chance and is the same each time (the finalizer of MurmurHash3). */
function mixed(n: number): number {
  let hash = n | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A small source with two views, and ways to push to it, crash it and compare what is left. */
import type { Clock } from "../../src/base/clock.ts";
import { type Micros, micros } from "../../src/base/micros.ts";
import type { EntityDefinition, StreamDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import type { SourcePipelineOptions } from "../../src/ingest/source-pipeline-options.ts";
import { openSourcePipeline } from "../../src/ingest/open-source-pipeline.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import type { LogStorage } from "../../src/ingest/storage.ts";
import type { PipelineView } from "../../src/ingest/view-runner.ts";
import type { LocalOnlineStore } from "../../src/online-store/online-store.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";

export const START: Micros = micros(Date.UTC(2026, 0, 1) * 1000);
export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;

const text: ValueType = { name: "string" };
const int64: ValueType = { name: "int64" };

export const user: EntityDefinition = { kind: "entity", name: "user", keys: [{ name: "user", type: text }] };
export const shop: EntityDefinition = {
  kind: "entity",
  name: "shop",
  keys: [
    { name: "country", type: text },
    { name: "shop", type: int64 },
  ],
};

export const payments: StreamDefinition = {
  kind: "stream",
  name: "payments",
  columns: [
    { name: "id", type: text, nullable: true },
    { name: "user", type: text, nullable: false },
    { name: "country", type: text, nullable: true },
    { name: "shop", type: int64, nullable: false },
    { name: "at", type: { name: "timestamp" }, nullable: false },
    { name: "amount", type: { name: "float64" }, nullable: true },
    { name: "constructor", type: text, nullable: true },
  ],
  derived: [
    {
      name: "large",
      type: { name: "bool" },
      expression: { op: "gt", left: { op: "column", name: "amount" }, right: { op: "literal", value: 50 } },
    },
  ],
  constraints: [
    {
      name: "amount_is_positive",
      predicate: {
        op: "coalesce",
        inputs: [
          { op: "gte", left: { op: "column", name: "amount" }, right: { op: "literal", value: 0 } },
          { op: "literal", value: true },
        ],
      },
    },
  ],
  eventTime: "at",
  id: "id",
  allowNonFinite: false,
  maxFutureMicros: MINUTE,
  dedupeWithinMicros: 60 * MINUTE,
  availableAfterMicros: 0,
};

export const userView: ViewDefinition = {
  kind: "view",
  name: "user_payments",
  version: 1,
  entity: "user",
  source: "payments",
  key: ["user"],
  features: [
    { name: "count", type: int64, aggregation: { fn: "count" } },
    {
      name: "sum_1m",
      type: { name: "float64" },
      aggregation: { fn: "sum", column: "amount", over: { kind: "time", micros: MINUTE } },
    },
    { name: "last_large", type: { name: "bool" }, aggregation: { fn: "last", column: "large" } },
  ],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};

/** Its custom aggregation throws for an amount of 13. */
export const shopView: ViewDefinition = {
  kind: "view",
  name: "shop_payments",
  version: 1,
  entity: "shop",
  source: "payments",
  key: ["country", "shop"],
  features: [
    { name: "mean", type: { name: "float64" }, aggregation: { fn: "mean", column: "amount" } },
    {
      name: "unlucky",
      type: int64,
      aggregation: {
        fn: "custom",
        column: "amount",
        custom: {
          name: "unlucky",
          output: int64,
          empty: () => 0,
          add: (state, input) => {
            if (input === 13) throw new Error("thirteen");
            return (state as number) + 1;
          },
          read: (state) => state as number,
        },
      },
    },
  ],
  online: true,
  offline: false,
  freshness: "real-time",
  exactEvents: 128,
};

export function pipelineView(definition: ViewDefinition): PipelineView {
  const entity = definition.entity === "user" ? user : shop;
  return { definition, entity, fold: compileViewFold(definition, payments, entity) };
}

export class TestClock implements Clock {
  time: number = START;
  now(): Micros {
    return this.time as Micros;
  }
}

export interface Stage {
  readonly storage: LogStorage;
  readonly store: LocalOnlineStore;
  readonly clock: Clock;
}

export function openPayments(stage: Stage, options: Partial<SourcePipelineOptions> = {}): Promise<SourcePipeline> {
  return openSourcePipeline({
    source: payments,
    views: [pipelineView(userView), pipelineView(shopView)],
    folder: "data",
    flushMs: 2,
    ...stage,
    ...options,
  });
}

export interface Payment {
  readonly id: string | null;
  readonly user: string;
  readonly country: string;
  readonly shop: number;
  readonly at: { readonly micros: number };
  readonly amount: number | null;
}

export function payment(n: number, parts: Partial<Payment> = {}): Payment {
  const at = { micros: START - (n % 5) * SECOND };
  return {
    id: `p${n}`,
    user: `u${n % 4}`,
    country: n % 2 === 0 ? "DE|x" : "FR",
    shop: n % 3,
    at,
    amount: (n * 7) % 100,
    ...parts,
  };
}

export function featuresOf(pipeline: SourcePipeline, view: string, key: string, asOf: number): Record<string, Value> {
  const runner = pipeline.runner(view)!;
  const buffer = createReadBuffer(runner.view.fold.features.length);
  runner.view.fold.read(runner.state(key), asOf as Micros, buffer);
  return Object.fromEntries(runner.view.fold.features.map((feature, i) => [feature.name, buffer.values[i]!]));
}

/** Every stored state of every view, by space and key, as hex. */
export function storedStates(pipeline: SourcePipeline): Record<string, string> {
  const states: Record<string, string> = {};
  for (const runner of pipeline.runners) {
    for (const { key, bytes } of runner.storedStates()) {
      states[`${runner.space}/${key}`] = Buffer.from(bytes).toString("hex");
    }
  }
  return states;
}

/** All that a view must hold, by folding every event of the log into states in memory. */
export function expectedStates(definition: ViewDefinition, events: readonly LogEvent[]): Record<string, string> {
  const { fold } = pipelineView(definition);
  const states = new Map<string, ReturnType<typeof fold.empty>>();
  for (const event of events) {
    let key: string;
    try {
      key = fold.keyOf(event.row);
    } catch {
      continue;
    }
    const state = states.get(key) ?? fold.empty();
    if (fold.fold(state, event).kind === "folded") states.set(key, state);
  }
  return Object.fromEntries(Array.from(states, ([key, state]) => [key, hex(fold.encode(state))]));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export async function logOf(pipeline: SourcePipeline): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const batch of pipeline.log.read(0)) events.push(...batch);
  return events;
}

export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What the cases of the stream benchmark share: how much of everything, and how they report. */
import { type BenchCase, report } from "../report.ts";

export interface Size {
  readonly rounds: number;
  readonly accounts: number;
  /** Of one measurement of a rate through Kafka. */
  readonly kafkaEvents: number;
  /** Of one measurement of the embedded rate. */
  readonly embeddedEvents: number;
  /** Of one measurement of latency. */
  readonly latencySeconds: number;
  readonly latencyRounds: number;
  readonly eventsPerSecond: readonly number[];
  /** Numbers of entities of the simulation, and events folded once each entity has one. */
  readonly simulatedEntities: readonly number[];
  readonly simulatedEvents: number;
}

export const FULL: Size = {
  rounds: 3,
  accounts: 100_000,
  kafkaEvents: 60_000,
  embeddedEvents: 200_000,
  latencySeconds: 4,
  latencyRounds: 2,
  eventsPerSecond: [1000, 10_000, 20_000],
  simulatedEntities: [10_000, 100_000, 1_000_000],
  simulatedEvents: 50_000,
};
/** Shows that everything runs. Its figures mean nothing. */
export const QUICK: Size = {
  rounds: 1,
  accounts: 500,
  kafkaEvents: 2000,
  embeddedEvents: 5000,
  latencySeconds: 0.5,
  latencyRounds: 1,
  eventsPerSecond: [1000],
  simulatedEntities: [80, 800],
  simulatedEvents: 800,
};

export class StreamRun {
  readonly size: Size;
  /** Whether every case met its goal so far. */
  passed = true;

  constructor(size: Size) {
    this.size = size;
  }

  report(measured: Omit<BenchCase, "bench">): void {
    if (!report({ bench: "stream", ...measured })) this.passed = false;
  }
}

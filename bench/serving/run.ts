/**
 * What the cases of the serving benchmark share: how large, how long, where, and how they report.
 */
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { LOAD_CORE, moveToAllCores, moveToCore } from "../cores.ts";
import { type BenchCase, report } from "../report.ts";
import type { Checked } from "./oracle-check.ts";
import { EVENTS_MEDIAN, paymentHistorySql } from "./payments.ts";
import { printHottest } from "./profile.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";
import { prepareWorld, quantileOf, type World, type WorldRequest } from "./world.ts";

export interface Size {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  readonly accounts: number;
  /** Entities of the case of stored bytes: with one event, 20 and 500. */
  readonly storedEntities: readonly [one: number, twenty: number, fiveHundred: number];
}

export const FULL: Size = { rounds: 5, seconds: 4, accounts: 100_000, storedEntities: [1_000_000, 1_000_000, 20_000] };
/** Shows that everything runs. Its figures mean nothing. */
export const QUICK: Size = { rounds: 1, seconds: 0.5, accounts: 500, storedEntities: [2000, 1000, 100] };

export class BenchRun {
  readonly size: Size;
  readonly folder: string;
  /** Whether a Redis can be started. */
  readonly hasRedis: boolean;
  readonly #profiles: boolean;
  /** Whether every case met its goal so far. */
  passed = true;

  constructor(options: {
    readonly size: Size;
    readonly folder: string;
    readonly hasRedis: boolean;
    readonly profiles: boolean;
  }) {
    this.size = options.size;
    this.hasRedis = options.hasRedis;
    this.folder = options.folder;
    this.#profiles = options.profiles;
  }

  report(measured: Omit<BenchCase, "bench">): void {
    if (!report({ bench: "serving", ...measured })) this.passed = false;
  }

  /** That enough replies were checked, and none was wrong. */
  reportChecked(name: string, { replies, wrong }: Checked, ofReplies: number): void {
    const share = (100 * replies) / ofReplies;
    this.report({ case: `${name}-checked`, unit: "% of replies", better: "higher", rounds: [share], goal: 1 });
    this.report({ case: `${name}-wrong`, unit: "of the checked replies", better: "lower", rounds: [wrong], goal: 0 });
  }

  /** A world of payments over so many days. */
  preparePayments(name: string, definitions: WorldRequest["definitions"], days: number): Promise<World> {
    const historySql = paymentHistorySql(this.size.accounts, days, systemClock.now());
    return prepareWorld({ name, folder: this.folder, definitions, historySql });
  }

  /** The buckets an entity has, as stored; judged in the view that reaches back furthest. */
  reportBuckets(name: string, world: World): void {
    for (const { view, states, stateBytes, buckets } of world.stored) {
      const at = [0.01, 0.1, 0.5, 0.9, 0.99, 1].map((share) => quantileOf(buckets, share));
      const bytes = Math.round(stateBytes / states);
      console.error(`${name}: ${states} states of ${view}, ${bytes} bytes on average, buckets ${at.join(" ")}`);
    }
    console.error(`${name}: (buckets: the least 1%, 10%, median, 90%, 99%, largest)`);
    const median = Math.max(...world.stored.map(({ buckets }) => quantileOf(buckets, 0.5)));
    const shared = { unit: "buckets", better: "higher", goal: EVENTS_MEDIAN * 0.9 } as const;
    this.report({ case: `${name}-buckets-median`, rounds: [median], ...shared });
  }

  /** Serves the world on one core while `work` runs on the other. */
  async serving<T>(
    world: World,
    work: (server: RunningServer) => Promise<T>,
    { online }: Pick<ServerOptions, "online"> = {},
  ): Promise<T> {
    const profileFolder = this.#profiles ? join(this.folder, `profile-${world.name}-${Date.now()}`) : undefined;
    const server = await startServer(world.dataDir, { profileFolder, online });
    let result: T;
    moveToCore(LOAD_CORE);
    try {
      result = await work(server);
    } finally {
      moveToAllCores();
      await server.stop();
    }
    if (profileFolder !== undefined) await printHottest(world.name, profileFolder);
    return result;
  }
}

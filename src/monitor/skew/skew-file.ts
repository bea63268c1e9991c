/**
 * What rounds of the audit found, and up to where they have read the serving log: one JSON file, replaced whole. So a round
 * that is cut short is done again, and none counts twice.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../registry/atomic-file.ts";
import type { FeatureSkew } from "./skew-tally.ts";

export interface SkewRound {
  readonly started_at: string;
  readonly ended_at: string;
  /** Vectors of the serving log that were looked at. */
  readonly vectors: number;
  readonly compared: number;
  readonly mismatched: number;
  readonly missing: number;
  readonly extra: number;
  /** Values that cannot be computed again: their view, feature, epoch or key is no longer there. */
  readonly unknown: number;
  /** Values read after events that were not archived. */
  readonly pending: number;
  /** Lines of the serving log that cannot be read. */
  readonly damaged: number;
  readonly features: readonly FeatureSkew[];
}

export interface SkewState {
  /** Bytes read of each segment of the serving log. */
  readonly places: Readonly<Record<string, number>>;
  /** The oldest first. */
  readonly rounds: readonly SkewRound[];
}

/** A round an hour: a bit more than a week. */
const ROUNDS_KEPT = 200;

export function skewFolder(dataDir: string): string {
  return join(dataDir, "monitor", "skew");
}

/** As if there had been no round where there is none, or what is there cannot be read. */
export async function readSkewState(folder: string): Promise<SkewState> {
  try {
    return JSON.parse(await readFile(join(folder, "rounds.json"), "utf8")) as SkewState;
  } catch {
    return { places: {}, rounds: [] };
  }
}

export async function writeSkewState(folder: string, { places, rounds }: SkewState): Promise<void> {
  const kept = rounds.slice(-ROUNDS_KEPT).map((round, i, all) => (i < all.length - 1 ? whatDiffered(round) : round));
  await replaceFile(join(folder, "rounds.json"), JSON.stringify({ places, rounds: kept }));
}

/** Of earlier rounds only what differed is kept by feature. */
function whatDiffered(round: SkewRound): SkewRound {
  return {
    ...round,
    features: round.features.filter(({ mismatched, missing, extra }) => mismatched + missing + extra > 0),
  };
}

/**
 * Looks at a random part of the vectors that are served, and keeps profiles of their values by service, fit and hour.
 *
 * Whoever serves counts `left` down, one a vector, and shows the one that makes it 0: so all but a few vectors cost one
 * subtraction. The gaps are random, so that no rhythm of requests is followed; each vector has the same chance.
 */
import type { Value } from "../../schema/value.ts";
import { type DriftWindow, type FeatureColumn, featureProfile, WINDOW_MICROS } from "./drift-window.ts";
import { type ProfileBuilder, profileBuilder } from "./profile-builder.ts";
import { profileKindOf, SKETCH } from "./profile.ts";

/** What all vectors of a plan have in common: one object, by which the sampler knows them again. */
export interface SampledService {
  readonly service: string;
  readonly fit: number | null;
  readonly columns: readonly FeatureColumn[];
}

export class VectorSampler {
  /** Vectors until the next that is to be shown. */
  left: number;
  readonly #rate: number;
  readonly #random: () => number;
  readonly #collecting = new Map<string, Collecting>();
  #finished: DriftWindow[] = [];

  /** `rate`: the part of all vectors that is looked at, above 0 and up to 1. `random`: 0 to 1, without 1. */
  constructor(rate: number, random: () => number) {
    this.#rate = rate;
    this.#random = random;
    this.left = randomGap(rate, random);
  }

  /** Passes over the one that is due: it is of no service. */
  pass(): void {
    this.left = randomGap(this.#rate, this.#random);
  }

  /** `values` in the order of the columns; not kept. */
  see(of: SampledService, values: readonly Value[], asOfMicros: number): void {
    this.left = randomGap(this.#rate, this.#random);
    const hour = Math.floor(asOfMicros / WINDOW_MICROS);
    const key = JSON.stringify([of.service, of.fit]);
    let collecting = this.#collecting.get(key);
    if (collecting === undefined || collecting.hour !== hour || collecting.of !== of) {
      if (collecting !== undefined) this.#finished.push(windowOf(collecting));
      collecting = { of, hour, vectors: 0, builders: of.columns.map(builderOf) };
      this.#collecting.set(key, collecting);
    }
    collecting.vectors++;
    const { builders } = collecting;
    for (let i = 0; i < builders.length; i++) builders[i]!.add(values[i]!);
  }

  /** What was seen since this was last asked; of one hour there may be several windows. */
  take(): DriftWindow[] {
    const windows = [...this.#finished, ...Array.from(this.#collecting.values(), windowOf)];
    this.#finished = [];
    this.#collecting.clear();
    return windows;
  }
}

/** Of whole numbers from 1 on, all equally probable, with 1/rate as their mean. */
export function randomGap(rate: number, random: () => number): number {
  return 1 + Math.floor(random() * (2 / rate - 1));
}

interface Collecting {
  readonly of: SampledService;
  readonly hour: number;
  vectors: number;
  readonly builders: readonly ProfileBuilder[];
}

function builderOf({ type }: FeatureColumn, place: number, columns: readonly FeatureColumn[]): ProfileBuilder {
  return profileBuilder(profileKindOf(type), SKETCH, (place + 1) / columns.length);
}

function windowOf({ of, hour, vectors, builders }: Collecting): DriftWindow {
  return {
    service: of.service,
    fit: of.fit,
    startMicros: hour * WINDOW_MICROS,
    endMicros: (hour + 1) * WINDOW_MICROS,
    vectors,
    features: of.columns.map((column, i) => featureProfile(column, builders[i]!.profile())),
  };
}

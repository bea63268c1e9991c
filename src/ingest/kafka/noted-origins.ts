/**
 * Records of sources' topics that are left out, as they are noted: looked at again before anything is appended, so that who stood
 * still while an entity was forgotten does not append what it had at hand of it.
 *
 * Whoever forgets waits for as long as a look is relied on, once places are noted, and reads the topics after that: what was
 * appended before a look it takes out, and behind the look nothing is appended.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { ForgottenPlaces } from "./forgotten-notes.ts";

/** So long a look is relied on. */
export const NOTES_TRUSTED_MS = 1000;
const TRIES = 10;

export class NotedOrigins {
  readonly #read: ((source: string) => Promise<ForgottenPlaces>) | undefined;
  readonly #sources: readonly string[];
  readonly #trustedMs: number;
  #places: ReadonlyMap<string, ForgottenPlaces> = new Map();
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(
    sources: readonly string[],
    read: ((source: string) => Promise<ForgottenPlaces>) | undefined,
    trustedMs: number = NOTES_TRUSTED_MS,
  ) {
    this.#read = read;
    this.#sources = sources;
    this.#trustedMs = trustedMs;
  }

  async look(): Promise<void> {
    if (this.#read === undefined) return;
    const lookedMs = performance.now();
    const places = new Map<string, ForgottenPlaces>();
    for (const source of this.#sources) places.set(source, await this.#read(source));
    this.#places = places;
    this.#lookedMs = lookedMs;
  }

  /** Where the last look is relied on no more. Resolves with whether it was. */
  async lookAgain(): Promise<boolean> {
    if (this.#read === undefined || performance.now() - this.#lookedMs < this.#trustedMs) return false;
    for (let tries = 0; tries < TRIES; tries++) {
      await this.look();
      // Who stood still while looking has seen what was there before.
      if (this.#trustedMs === 0 || performance.now() - this.#lookedMs < this.#trustedMs) return true;
    }
    throw new OnefoldError("KAFKA_UNAVAILABLE", "notes of forgotten entities are read too slowly to be relied on", {
      hint: "see how fast the folder of --archive answers",
    });
  }

  /** Offsets in a partition of its topic, named as an origin has it. */
  of(source: string, partition: string): ReadonlySet<number> | undefined {
    return this.#places.get(source)?.get(partition);
  }

  /** Throws `KAFKA_UNAVAILABLE` for a record that is noted. */
  refuse(source: string, partition: string, offset: number): void {
    if (this.of(source, partition)?.has(offset) !== true) return;
    throw new OnefoldError("KAFKA_UNAVAILABLE", `an entity of source ${source} was forgotten: records are read again`);
  }
}

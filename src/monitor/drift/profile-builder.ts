/**
 * Takes a feature's values one by one into a profile. Numbers wait in a buffer and are counted together, which costs a
 * fraction of counting each; where the profile is to be exact they all wait.
 */
import { type CategoryProfile, mergeCategories, NO_CATEGORIES } from "./category-profile.ts";
import { mergeNumbers, NO_NUMBERS, type NumericProfile, profileNumbers } from "./numeric-profile.ts";
import type { Profile, ProfileBounds, ProfileKind } from "./profile.ts";

const BUFFER = 1024;

export interface ProfileBuilder {
  /** A number, a text or a boolean, as the kind has it; of presence anything. null is missing. */
  add(value: unknown): void;
  /** Of all that was added. It may go on. */
  profile(): Profile;
}

/** `stagger`, 0 to 1: which part of its buffer a sketch fills first, so that many do not count in the same moment. */
export function profileBuilder(kind: ProfileKind, bounds: ProfileBounds, stagger = 1): ProfileBuilder {
  if (kind === "numeric") return new NumberBuilder(bounds, stagger);
  return kind === "category" ? new CategoryBuilder(bounds) : new PresenceBuilder();
}

class NumberBuilder implements ProfileBuilder {
  readonly #binsMax: number;
  #buffer = new Float64Array(BUFFER);
  #limit: number;
  #filled = 0;
  #missing = 0;
  #counted: NumericProfile = NO_NUMBERS;

  constructor({ binsMax }: ProfileBounds, stagger: number) {
    this.#binsMax = binsMax;
    this.#limit = Math.max(1, Math.ceil(BUFFER * stagger));
  }

  add(value: unknown): void {
    if (typeof value !== "number") {
      this.#missing++;
      return;
    }
    if (this.#filled === this.#limit) this.#makeRoom();
    this.#buffer[this.#filled++] = value;
  }

  profile(): NumericProfile {
    this.#count();
    return this.#counted;
  }

  #makeRoom(): void {
    if (Number.isFinite(this.#binsMax)) this.#count();
    else if (this.#filled === this.#buffer.length) {
      const larger = new Float64Array(2 * this.#buffer.length);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#limit = this.#buffer.length;
  }

  #count(): void {
    const counted = profileNumbers(this.#buffer.slice(0, this.#filled), this.#missing, this.#binsMax);
    this.#counted = mergeNumbers(this.#counted, counted, this.#binsMax);
    this.#filled = 0;
    this.#missing = 0;
  }
}

class CategoryBuilder implements ProfileBuilder {
  readonly #categoriesMax: number;
  #counts = new Map<string, number>();
  #count = 0;
  #missing = 0;
  #counted: CategoryProfile = NO_CATEGORIES;

  constructor({ categoriesMax }: ProfileBounds) {
    this.#categoriesMax = categoriesMax;
  }

  add(value: unknown): void {
    if (typeof value !== "string" && typeof value !== "boolean") {
      this.#missing++;
      return;
    }
    const text = String(value);
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
    this.#count++;
    if (this.#counts.size > 2 * this.#categoriesMax) this.#reduce();
  }

  profile(): CategoryProfile {
    this.#reduce();
    return this.#counted;
  }

  #reduce(): void {
    const added = { ...NO_CATEGORIES, count: this.#count, missing: this.#missing, counts: this.#counts };
    this.#counted = mergeCategories(this.#counted, added, this.#categoriesMax);
    this.#counts = new Map();
    this.#count = 0;
    this.#missing = 0;
  }
}

class PresenceBuilder implements ProfileBuilder {
  #count = 0;
  #missing = 0;

  add(value: unknown): void {
    if (value === null || value === undefined) this.#missing++;
    else this.#count++;
  }

  profile(): Profile {
    return { kind: "presence", count: this.#count, missing: this.#missing };
  }
}

/**
 * How much is sent to Redis before what follows waits for the answers. Each such round has the address's time limit to
 * itself, so however much there is to write, none of it runs into the limit; unless a round is more than the server, or
 * the way there, takes within it. So a round that took a good part of the limit halves those that follow, one that
 * took next to nothing doubles them again.
 */
const STATES_MAX = 8000;
const BYTES_MAX = 4 * 1024 * 1024;
/** A round is at least one command. */
const SHARE_MIN = 1 / 64;
const SHARE_FIRST = 1 / 8;

export class RoundSize {
  readonly #timeoutMs: number;
  #share = SHARE_FIRST;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get states(): number {
    return STATES_MAX * this.#share;
  }

  get bytes(): number {
    return BYTES_MAX * this.#share;
  }

  /** How long a round took, whether or not it was answered in time. */
  took(ms: number): void {
    if (ms > this.#timeoutMs / 5) this.#share = Math.max(SHARE_MIN, this.#share / 2);
    else if (ms < this.#timeoutMs / 20) this.#share = Math.min(1, this.#share * 2);
  }
}

/**
 * One poll of a source's API: asks, pushes the rows, and only then stores how far it has come.
 *
 *     ask ─▶ rows ─▶ push (acknowledged: on disk and folded) ─▶ state stored ─▶ next page, or done
 *
 * Why no row is lost. State moves past an answer only after all of its rows are in the log or the dead letters, and
 * the cursor only past whole answers. Why none counts twice. A crash between the push and the store, an API that
 * repeats itself, a page that shifts: all fetch rows again, whose ids the log knows.
 */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { StreamDefinition } from "../../define/definition.ts";
import type { PollDefinition } from "../../define/poll-definition.ts";
import type { PushResult } from "../pipeline.ts";
import { at, nextPage, rowPicker, rowsIn, textAt } from "./answer-rows.ts";
import { type NewestValue, newestValue } from "./newest-value.ts";
import { ask, type Fetch, type PollAnswer, PollRefusal } from "./poll-answer.ts";
import { addressOf, type Environment, placeOf, pollRequest } from "./poll-request.ts";
import { type Cursor, type PollState, PollStateFile } from "./poll-state.ts";
import { RefusedRows } from "./refused-rows.ts";

export interface PollPorts {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly environment: Environment;
  /** Resolves once the rows are durable and folded, or durable dead letters. */
  push(rows: readonly unknown[]): Promise<PushResult>;
}

/** What one poll has done, as far as it came. */
export interface PollReport {
  requests: number;
  /** Rows that the API gave. */
  rows: number;
  /** Those of them that were new. */
  accepted: number;
}

/** Refusals that say something of the one who asks, or of the moment, and nothing of the page that was asked for. */
const NOT_OF_THE_PAGE: ReadonlySet<number> = new Set([401, 403, 407, 408, 425, 429]);
const VISITED_MAX = 100_000;

export class SourcePoll {
  readonly #poll: PollDefinition;
  readonly #ports: PollPorts;
  readonly #file: PollStateFile;
  readonly #pick: (row: unknown) => unknown;
  readonly #newest: NewestValue["newer"] | null;
  readonly #wide: boolean;
  readonly #refused = new RefusedRows();
  /** Pages since the beginning of the answer, to see one that leads back. */
  readonly #visited = new Set<string>();
  #state: PollState | null = null;

  constructor(dataDir: string, source: StreamDefinition, poll: PollDefinition, ports: PollPorts) {
    this.#poll = poll;
    this.#ports = ports;
    this.#file = new PollStateFile(dataDir, source.name, poll);
    this.#pick = rowPicker(source, poll);
    this.#newest = poll.cursor?.kind === "column" ? newestValue(source, poll, poll.cursor).newer : null;
    this.#wide = source.columns.some(({ type }) => type.name === "int64" && type.wide === true);
  }

  /** What the cursor stands at, as it is sent. */
  get cursor(): string | null {
    return this.#state?.cursor?.sent ?? null;
  }

  /**
   * Asks until the API has no more, or `requestsMax` is reached; counts in `report` what was done, before anything
   * that it throws too: `POLL_REFUSED`, `POLL_ANSWER_INVALID`, `POLL_SECRET_MISSING`, `SERVER_UNREACHABLE`,
   * `CALL_TIMED_OUT`, `STATE_CODEC`, `CANCELLED`, and what a push throws.
   */
  async poll(report: PollReport, signal: AbortSignal): Promise<"fetched" | "unchanged"> {
    this.#state ??= await this.#file.load();
    for (;;) {
      const before: PollState = this.#state;
      const answer = await this.#ask(before, report, signal);
      if (answer === null) return "unchanged";
      const rows = rowsIn(answer, this.#poll);
      const reached = await this.#pushed(rows, before, answer, report);
      const page = nextPage(answer, this.#poll, before.page, rows.length);
      // Some APIs end with a page that has no rows and leads to itself.
      const hasNext = page !== null && (page !== before.page || rows.length > 0);
      if (hasNext) await this.#visit(page, before, answer);
      else this.#visited.clear();
      await this.#store(
        hasNext ? { ...before, page, reached, validators: null } : this.#whole(before, reached, answer),
      );
      if (!hasNext && !this.#hasMore(answer, rows.length, before)) return "fetched";
      if (report.requests >= this.#poll.requestsMax) return "fetched";
      if (signal.aborted) throw new OnefoldError("CANCELLED", "the poll was stopped");
    }
  }

  async #ask(state: PollState, report: PollReport, signal: AbortSignal): Promise<PollAnswer | null> {
    const { clock, environment, fetch } = this.#ports;
    const request = pollRequest(this.#poll, state, environment);
    report.requests++;
    try {
      return await ask(request, { poll: this.#poll, fetch, signal, nowMicros: clock.now(), wide: this.#wide });
    } catch (error) {
      const isOfPage =
        error instanceof PollRefusal &&
        error.httpStatus >= 400 &&
        error.httpStatus < 500 &&
        !NOT_OF_THE_PAGE.has(error.httpStatus);
      // A page that is gone, or whose token has run out: the answer is read again from where the cursor stands.
      if (state.page !== null && isOfPage) {
        this.#visited.clear();
        await this.#store({ ...state, page: null, reached: null });
      }
      throw error;
    }
  }

  /** Pushes the rows; returns what the cursor is once the whole answer is in. */
  async #pushed(
    rows: readonly unknown[],
    before: PollState,
    answer: PollAnswer,
    report: PollReport,
  ): Promise<Cursor | null> {
    report.rows += rows.length;
    const now = this.#ports.clock.now();
    const offered = rows.map((row) => {
      const picked = this.#pick(row);
      return { row, picked, isRefused: this.#refused.has(picked, now) };
    });
    const toPush = offered.filter(({ isRefused }) => !isRefused);
    if (toPush.length > 0) {
      const { accepted, outcomes } = await this.#ports.push(toPush.map(({ picked }) => picked));
      report.accepted += accepted;
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status !== "rejected") continue;
        this.#refused.add(toPush[i]!.picked, outcome.code, now);
        toPush[i]!.isRefused = true;
      }
    }
    let reached = before.reached ?? before.cursor;
    if (this.#newest !== null) {
      for (const { row, picked, isRefused } of offered)
        reached = this.#newest(reached, row, picked, isRefused ? now : null);
    }
    const { cursor } = this.#poll;
    if (cursor?.kind !== "answer") return reached;
    const sent = textAt(answer, cursor.path);
    return sent === null ? reached : { sent, newest: null };
  }

  /** The state behind an answer of which all pages are in. */
  #whole(before: PollState, reached: Cursor | null, answer: PollAnswer): PollState {
    const after: PollState = { cursor: reached, page: null, reached: null, validators: null };
    const { etag, lastModified } = answer;
    // Only of an answer of one page: the first of several may stay as it is while the last one grows.
    const isOnePage = before.page === null && this.#poll.pages?.kind !== "number";
    const address = addressOf(this.#poll, after);
    const isSame = address === addressOf(this.#poll, before);
    // A row whose time has not come must be offered again.
    const isOfUse = (etag !== null || lastModified !== null) && !this.#refused.areAwaited;
    return isOnePage && isSame && isOfUse ? { ...after, validators: { address, etag, lastModified } } : after;
  }

  /** Whether the API says that it has more at once. Throws `POLL_ANSWER_INVALID` where asking again would give the same. */
  #hasMore(answer: PollAnswer, rowCount: number, before: PollState): boolean {
    const more = this.#poll.cursor?.more;
    if (more === undefined) return false;
    const hasMore = "rows" in more ? rowCount >= more.rows : at(answer.data, more.path) === true;
    if (!hasMore) return false;
    if (this.#state!.cursor?.sent === before.cursor?.sent) {
      throw new OnefoldError(
        "POLL_ANSWER_INVALID",
        `the API has more, and the cursor does not move${this.cursor === null ? "" : ` from ${this.cursor}`}`,
        {
          where: placeOf(answer.address),
          hint: "more rows have the cursor's value than one answer holds: ask for more rows at a time, or use another cursor",
        },
      );
    }
    return true;
  }

  async #visit(page: string, before: PollState, answer: PollAnswer): Promise<void> {
    if (page === before.page || this.#visited.has(page)) {
      this.#visited.clear();
      await this.#store({ ...before, page: null, reached: null });
      throw new OnefoldError("POLL_ANSWER_INVALID", "its next page is one that was read already", {
        where: placeOf(answer.address),
        hint: "the pages lead in a circle: check what the source says of pages",
      });
    }
    if (this.#visited.size < VISITED_MAX) this.#visited.add(page);
  }

  async #store(state: PollState): Promise<void> {
    if (JSON.stringify(state) !== JSON.stringify(this.#state)) await this.#file.save(state);
    this.#state = state;
  }
}

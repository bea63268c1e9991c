/**
 * How far a polled source has come, in a file that is replaced whole: `polls/<source>.json` in the data folder.
 *
 * It is written only after what it leaves behind is acknowledged by the log, so a crash at any moment fetches rows
 * again and skips none. `cursor` moves only once all pages of an answer are in: an API that gives its newest rows
 * first has told of the newest long before the oldest is fetched. Until then `page` says where to go on, and
 * `reached` what the cursor will be.
 *
 * No secret is in it: addresses are stored without the parameters that come from the environment.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, OnefoldError } from "../../base/errors.ts";
import type { PollDefinition } from "../../define/poll-definition.ts";
import { definitionText } from "../../fold/canonical-json.ts";
import { replaceFile } from "../../registry/atomic-file.ts";

/** A cursor as it is sent, and what newer ones are compared with, where they are compared. */
export interface Cursor {
  readonly sent: string;
  readonly newest: number | string | null;
}

/** What makes the next question cost nothing while its answer has not changed. */
export interface Validators {
  /** Address that was asked, without secrets. */
  readonly address: string;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export interface PollState {
  readonly cursor: Cursor | null;
  /** Page to go on with: an address, a token or a number; null at the beginning of an answer. */
  readonly page: string | null;
  readonly reached: Cursor | null;
  readonly validators: Validators | null;
}

export const NOTHING_FETCHED: PollState = { cursor: null, page: null, reached: null, validators: null };

interface StoredState extends PollState {
  readonly format: 1;
  /** What the cursor means, and what page and validators are of: of another definition they say nothing. */
  readonly cursorOf: string;
  readonly askedOf: string;
}

export class PollStateFile {
  readonly #file: string;
  readonly #cursorOf: string;
  readonly #askedOf: string;

  constructor(dataDir: string, source: string, poll: PollDefinition) {
    this.#file = join(dataDir, "polls", `${source}.json`);
    const { url, query, rows, columns, pages, headers, cursor } = poll;
    // Not when there is more, nor how far it looks back.
    const { more: _more, ...meaning } = cursor ?? {};
    if ("lookbackMicros" in meaning) delete meaning.lookbackMicros;
    this.#cursorOf = definitionText(meaning);
    this.#askedOf = definitionText({ url, query, rows, columns, pages, headers });
  }

  /** As far as it holds for the present definition. Throws `STATE_CODEC`: to begin anew is the user's to decide. */
  async load(): Promise<PollState> {
    let stored: StoredState;
    try {
      stored = JSON.parse(await readFile(this.#file, "utf8")) as StoredState;
      if (stored?.format !== 1) throw new Error(`its format is ${String(stored?.format)}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return NOTHING_FETCHED;
      throw new OnefoldError("STATE_CODEC", `how far the source was polled cannot be read: ${messageOf(error)}`, {
        where: this.#file,
        hint: "remove the file to poll from the cursor's start again; what was fetched before is told by its id, for as long as dedupeWithin",
      });
    }
    const { cursor, page, reached, validators } = stored;
    if (stored.cursorOf !== this.#cursorOf) return NOTHING_FETCHED;
    if (stored.askedOf !== this.#askedOf) return { ...NOTHING_FETCHED, cursor };
    return { cursor, page, reached, validators };
  }

  /** Durable once it resolves. Throws `STORAGE_FAILED`. */
  async save(state: PollState): Promise<void> {
    const stored: StoredState = { format: 1, cursorOf: this.#cursorOf, askedOf: this.#askedOf, ...state };
    await replaceFile(this.#file, `${JSON.stringify(stored)}\n`);
  }
}

/**
 * Requests of a connection that were answered before and may be answered with the same bytes: found by their own
 * bytes, without being parsed.
 *
 * What a request means hangs on its bytes, on the protocol that is spoken, and on the password having been given;
 * so those that came whole are told apart by the first two, and a stranger's are not looked at.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import { newAnswerSpace } from "../kept-answers.ts";
import type { VectorPlan } from "../vector-plan.ts";
import type { Session } from "./command.ts";
import type { ConnectionHouse } from "./connection-house.ts";
import type { ReplyWriter } from "./reply-writer.ts";
import type { RequestParser } from "./request-parser.ts";

const NOTHING: Uint8Array = new Uint8Array(0);
const SPACES = { 2: newAnswerSpace(), 3: newAnswerSpace() } as const;

export class AnsweredBefore {
  readonly #house: ConnectionHouse;
  readonly #session: Session;
  readonly #parser: RequestParser;
  readonly #out: ReplyWriter;
  /** The request that is looked at or carried out; nothing where `end` is -1. */
  readonly #asked = { space: 0, bytes: NOTHING, start: 0, end: -1, consumer: "" };
  /** Where its reply begins. */
  #from = 0;

  constructor(house: ConnectionHouse, session: Session, parser: RequestParser, out: ReplyWriter) {
    this.#session = session;
    this.#house = house;
    this.#parser = parser;
    this.#out = out;
  }

  /** Answers the next request, if that can be done; else remembers where its bytes are, for `keep` in this turn. */
  answerNext(): boolean {
    const asked = this.#asked;
    asked.end = this.#parser.nextEnd();
    if (asked.end < 0) return false;
    asked.space = SPACES[this.#out.protocol];
    asked.bytes = this.#parser.bytes;
    asked.start = this.#parser.position;
    asked.consumer = this.#session.name;
    const { door, commandCounts } = this.#house;
    const found = door.reader.findAnswer(asked);
    if (found === null) {
      this.#from = this.#out.length;
      return false;
    }
    this.#out.written.bytes(found.bytes, found.start, found.end);
    this.#parser.skipTo(asked.end);
    const name = this.#house.commandNames[found.note]!;
    commandCounts.set(name, (commandCounts.get(name) ?? 0) + 1);
    return true;
  }

  /** Keeps what was written since as the reply to the request, whose command is `name`. */
  keep(plan: VectorPlan, keys: readonly EntityKey[], name: string): void {
    if (this.#asked.end < 0) return;
    const { door, commandNames } = this.#house;
    const { block: bytes, length: end } = this.#out.written;
    const made = { bytes, start: this.#from, end, note: commandNames.indexOf(name) };
    door.reader.keepAnswer(this.#asked, { plan, keys }, made);
  }

  /** What is carried out next is none of the requests that can be kept, or its bytes are not known any more. */
  forget(): void {
    this.#asked.end = -1;
    this.#asked.bytes = NOTHING;
  }
}

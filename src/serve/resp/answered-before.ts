/**
 * Requests of a connection that were answered before and may be answered with the same bytes: found by their own
 * bytes, without being parsed.
 *
 * What a request means hangs on its bytes, on the protocol that is spoken, and on the password having been given;
 * so those that came whole are told apart by the first two, and a stranger's are not looked at.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import type { VectorAsk } from "../feature-reader.ts";
import { type Asked, copyOfAsked, newAnswerSpace } from "../kept-answers.ts";
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

  /** Remembers where the bytes of the next request are, for `keep` in this turn; false where it is not whole. */
  locateNext(): boolean {
    const asked = this.#asked;
    asked.end = this.#parser.nextEnd();
    if (asked.end < 0) return false;
    asked.space = SPACES[this.#out.protocol];
    asked.bytes = this.#parser.bytes;
    asked.start = this.#parser.position;
    asked.consumer = this.#session.name;
    return true;
  }

  /** Answers the next request, if that can be done; else it is as located. */
  answerNext(): boolean {
    if (!this.locateNext()) return false;
    const asked = this.#asked;
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
    if (this.#asked.end >= 0) this.keepAs(this.#asked, this.#from, { plan, keys }, name);
  }

  /** The same of what was written since the length was `from`, as the reply to a request of before. */
  keepAs(asked: Asked, from: number, of: VectorAsk, name: string): void {
    const { door, commandNames } = this.#house;
    const { block: bytes, length: end } = this.#out.written;
    door.reader.keepAnswer(asked, of, { bytes, start: from, end, note: commandNames.indexOf(name) });
  }

  /** A copy of the request that is carried out; null where it is not to be kept. */
  copy(): Asked | null {
    return this.#asked.end < 0 ? null : copyOfAsked(this.#asked);
  }

  /** What is carried out next is none of the requests that can be kept, or its bytes are not known any more. */
  forget(): void {
    this.#asked.end = -1;
    this.#asked.bytes = NOTHING;
  }
}

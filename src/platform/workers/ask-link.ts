/**
 * Questions and answers between two processes, over a channel that keeps order. Whoever is asked begins on
 * questions in the order in which they came, and may answer in another.
 */
import { OnefoldError } from "../../base/errors.ts";
import { errorFromWire, errorToWire, type WireError } from "../../base/wire-error.ts";
import type { Message, Question, Questions } from "./messages.ts";

/** What this side answers. */
export type Answers = {
  readonly [Q in Question]?: (asked: Questions[Q]["asked"]) => Promise<Questions[Q]["answered"]>;
};

interface Waiting {
  readonly resolve: (answered: never) => void;
  readonly reject: (error: OnefoldError) => void;
}

export class AskLink {
  readonly #send: (message: Message) => void;
  readonly #answers: Answers;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #closed: OnefoldError | null = null;

  /** `send` throws where a message cannot be written, and for no other reason: not where the other side has gone. */
  constructor(send: (message: Message) => void, answers: Answers) {
    this.#send = send;
    this.#answers = answers;
  }

  /**
   * Rejects with the error of the other side, with that of `close` where it has gone, and with `RangeError` where what is
   * asked is nested too deep to be written.
   */
  ask<Q extends Question>(question: Q, asked: Questions[Q]["asked"]): Promise<Questions[Q]["answered"]> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      try {
        this.#send({ kind: "ask", id, question, asked });
      } catch (error) {
        this.#waiting.delete(id);
        reject(error as Error);
      }
    });
  }

  /** Takes what is a question or an answer; false for any other message. */
  receive(message: Message): boolean {
    switch (message.kind) {
      case "ask":
        void this.#answer(message);
        return true;
      case "answer":
        this.#take(message.id)?.resolve(message.answered as never);
        return true;
      case "refusal":
        this.#take(message.id)?.reject(errorFromWire(message.error));
        return true;
      default:
        return false;
    }
  }

  /** The other side has gone: whoever waits for it, or asks later, gets `error`. */
  close(error: OnefoldError): void {
    this.#closed = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  async #answer({ id, question, asked }: Message & { readonly kind: "ask" }): Promise<void> {
    const answer = this.#answers[question] as ((asked: unknown) => Promise<unknown>) | undefined;
    try {
      if (answer === undefined) throw new OnefoldError("INTERNAL", `this process does not answer "${question}"`);
      this.#send({ kind: "answer", id, answered: await answer(asked) });
    } catch (error) {
      this.#send({ kind: "refusal", id, error: errorToWire(error) });
    }
  }
}

/** Faults of pushed rows as the channel carries them. */
export function faultsToWire(faults: ReadonlyMap<number, OnefoldError> = new Map()): [number, WireError][] {
  return Array.from(faults, ([row, fault]) => [row, errorToWire(fault)]);
}

export function faultsFromWire(faults: readonly (readonly [number, WireError])[]): ReadonlyMap<number, OnefoldError> {
  return new Map(faults.map(([row, fault]) => [row, errorFromWire(fault)]));
}

/**
 * Asks all parts of monitoring at once. One that throws, or does not answer in time, is itself reported and holds up no
 * other; while an answer is outstanding it is not asked again.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { WatchedKind } from "../../define/alert-definition.ts";
import type { WatchedSignal } from "../../monitor/alerts/rule.ts";
import type { Signal } from "../../monitor/signal.ts";
import type { ShownSource } from "../../serve/alert-desk.ts";
import type { NamedSignalSource } from "./signal-sources.ts";

interface Asked {
  readonly named: NamedSignalSource;
  answeredMicros: number | null;
  failures: number;
  error: string | null;
  outstanding: Promise<readonly Signal[]> | null;
}

export class AskedSignals {
  readonly #asked: Asked[];
  readonly #timeoutMillis: number;
  readonly #closing = new AbortController();

  constructor(sources: readonly NamedSignalSource[], timeoutMillis: number) {
    this.#asked = sources.map((named) => ({
      named,
      answeredMicros: null,
      failures: 0,
      error: null,
      outstanding: null,
    }));
    this.#timeoutMillis = timeoutMillis;
  }

  /** Those of all that answer, and one of kind "signal-source" for each; `watched` are the kinds that matter. Never rejects. */
  async ask(nowMicros: number, watched: ReadonlySet<WatchedKind>): Promise<WatchedSignal[]> {
    const answers = await Promise.all(
      this.#asked.map(async (asked) => {
        const { kinds } = asked.named;
        if (kinds === undefined || kinds.some((kind) => watched.has(kind))) return this.#askOne(asked, nowMicros);
        Object.assign(asked, { failures: 0, error: null });
        return [];
      }),
    );
    return [...answers.flat(), ...this.#asked.map((asked) => healthSignal(asked, nowMicros))];
  }

  /** Waits for no answer any more. What was asked until now is worth nothing. */
  close(): void {
    this.#closing.abort();
  }

  shown(): ShownSource[] {
    return this.#asked.map(({ named, answeredMicros, failures, error }) => ({
      name: named.name,
      answered_at: answeredMicros === null ? null : formatMicros(answeredMicros as Micros),
      failures,
      error,
    }));
  }

  async #askOne(asked: Asked, nowMicros: number): Promise<readonly Signal[]> {
    try {
      if (asked.outstanding !== null) throw new Error("it has not answered yet");
      // What it throws at once is as what it rejects with.
      const answer = Promise.resolve().then(() => asked.named.source.signals(nowMicros));
      asked.outstanding = answer;
      const done = (): void => void (asked.outstanding = null);
      answer.then(done, done);
      const signals = await within(answer, this.#timeoutMillis, this.#closing.signal);
      Object.assign(asked, { answeredMicros: nowMicros, failures: 0, error: null });
      return signals;
    } catch (error) {
      asked.failures += 1;
      asked.error = error instanceof Error ? error.message : String(error);
      return [];
    }
  }
}

function within<T>(work: Promise<T>, millis: number, closing: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => (): void => {
      clearTimeout(timer);
      closing.removeEventListener("abort", leave);
      then();
    };
    const leave = settle(() => reject(new Error("nobody waits for it any more")));
    const late = settle(() => reject(new Error(`it did not answer within ${millis / 1000} s`)));
    const timer = setTimeout(late, millis);
    closing.addEventListener("abort", leave);
    if (closing.aborted) leave();
    work.then(
      (done) => settle(() => resolve(done))(),
      (error: unknown) => settle(() => reject(error as Error))(),
    );
  });
}

function healthSignal({ named, failures, error }: Asked, nowMicros: number): WatchedSignal {
  return {
    kind: "signal-source",
    subject: { source: named.name },
    measure: "failures",
    value: failures,
    threshold: 0,
    isBeyond: failures > 0,
    pValue: null,
    samples: 0,
    windowStartMicros: nowMicros,
    windowEndMicros: nowMicros,
    detail: error === null ? {} : { error },
  };
}

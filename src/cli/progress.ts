/**
 * Progress of long work: a bar with rate and time left on a terminal, a line every few seconds elsewhere.
 */
import { type GenericFormatter, SingleBar } from "cli-progress";

/** `total` is null where it is unknown; `phase` says what is being done now, and counts anew from zero. */
export type OnProgress = (progress: {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
}) => void;

export interface Progress {
  readonly update: OnProgress;
  stop(): void;
}

const MILLIS_BETWEEN_LINES = 3000;
const BAR_WIDTH = 24;

export function startProgress(title: string, stream: NodeJS.WritableStream & { readonly isTTY?: boolean }): Progress {
  return stream.isTTY === true ? terminalBar(title, stream) : plainLines(title, stream);
}

/** What the bar's formatter is given beside the bar's own numbers. */
interface Shown {
  readonly what: string;
  readonly total: number | null;
  readonly ratePerSecond: number;
}

const formatBar: GenericFormatter = (_options, params, payload) => {
  const { what, total, ratePerSecond } = payload as Shown;
  const rate = `${formatCount(ratePerSecond)}/s`;
  if (total === null) return `${what} ${formatCount(params.value)}, ${rate}`;
  const filled = Math.round(params.progress * BAR_WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
  const left = timeLeft(total - params.value, ratePerSecond);
  return `${what} ${bar} ${Math.floor(params.progress * 100)}% of ${formatCount(total)}, ${rate}${left}`;
};

function timeLeft(count: number, ratePerSecond: number): string {
  return ratePerSecond === 0 ? "" : `, ${Math.ceil(count / ratePerSecond)} s left`;
}

function terminalBar(title: string, stream: NodeJS.WritableStream): Progress {
  const bar = new SingleBar({ stream, format: formatBar, hideCursor: true, clearOnComplete: true });
  const rate = new PhaseRate();
  let isShown = false;
  return {
    update({ phase, done, total }): void {
      const known = total === 0 ? null : total;
      const shown: Shown = { what: `${title}: ${phase}`, total: known, ratePerSecond: rate.perSecond(phase, done) };
      if (!isShown) bar.start(known ?? 1, 0, shown);
      isShown = true;
      bar.setTotal(known ?? Math.max(done, 1));
      bar.update(done, shown);
    },
    stop(): void {
      if (isShown) bar.stop();
    },
  };
}

function plainLines(title: string, stream: NodeJS.WritableStream): Progress {
  const rate = new PhaseRate();
  let printedMillis = performance.now();
  return {
    update({ phase, done, total }): void {
      const ratePerSecond = rate.perSecond(phase, done);
      if (performance.now() - printedMillis < MILLIS_BETWEEN_LINES) return;
      printedMillis = performance.now();
      const of = total === null || total === 0 ? "" : ` of ${formatCount(total)}`;
      const left = of === "" ? "" : timeLeft(total! - done, ratePerSecond);
      // What has only begun has no rate yet.
      const count = done === 0 && of === "" ? "" : ` ${formatCount(done)}${of}, ${formatCount(ratePerSecond)}/s${left}`;
      stream.write(`${title}: ${phase}${count}\n`);
    },
    stop(): void {},
  };
}

/** Mean rate since the phase began; what was done before, as where work is gone on with, is not counted. */
class PhaseRate {
  #phase: string | null = null;
  #startMillis = 0;
  #startDone = 0;

  perSecond(phase: string, done: number): number {
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#startMillis = performance.now();
      this.#startDone = done;
    }
    const elapsedMillis = performance.now() - this.#startMillis;
    return elapsedMillis < 1 ? 0 : Math.round(((done - this.#startDone) * 1000) / elapsedMillis);
  }
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

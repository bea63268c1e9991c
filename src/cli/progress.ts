/**
 * Progress of long work: a bar with rate and time left on a terminal, a line every few seconds elsewhere.
 */
import { Presets, SingleBar } from "cli-progress";

/** `total` is null where it is unknown; `phase` says what is being done now. */
export type OnProgress = (progress: {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
}) => void;

interface Progress {
  update(done: number, total: number | null, phase: string): void;
  stop(): void;
}

const MILLIS_BETWEEN_LINES = 3000;

export function startProgress(title: string, stream: NodeJS.WriteStream): Progress {
  return stream.isTTY === true ? terminalBar(title, stream) : plainLines(title, stream);
}

function terminalBar(title: string, stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar(
    {
      stream,
      format: `{title} {bar} {percentage}% | {value}/{total} | {rate}/s | {eta_formatted} left`,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  let started = false;
  const startMillis = performance.now();
  return {
    update(done, total, phase): void {
      const shown = total === null || total === 0 ? Math.max(done, 1) : total;
      const payload = {
        title: `${title}: ${phase}`,
        rate: formatRate(done, startMillis),
      };
      if (!started) bar.start(shown, done, payload);
      started = true;
      bar.setTotal(shown);
      bar.update(done, payload);
    },
    stop(): void {
      if (started) bar.stop();
    },
  };
}

function plainLines(title: string, stream: NodeJS.WritableStream): Progress {
  const startMillis = performance.now();
  let printedMillis = startMillis;
  return {
    update(done, total, phase): void {
      const nowMillis = performance.now();
      if (nowMillis - printedMillis < MILLIS_BETWEEN_LINES) return;
      printedMillis = nowMillis;
      const of = total === null || total === 0 ? "" : ` of ${formatCount(total)}`;
      stream.write(`${title}: ${phase} ${formatCount(done)}${of}, ${formatRate(done, startMillis)}/s\n`);
    },
    stop(): void {},
  };
}

function formatRate(done: number, startMillis: number): string {
  return formatCount(Math.round((done * 1000) / Math.max(performance.now() - startMillis, 1)));
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

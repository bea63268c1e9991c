/** What the demo says while it runs: numbered sections, facts, and progress as a bar or as a line every few seconds. */
import { SingleBar } from "cli-progress";

export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
}

const LINE_EVERY_MS = 4000;
const startedMs = performance.now();

export function elapsedSeconds(): number {
  return (performance.now() - startedMs) / 1000;
}

export function section(title: string): void {
  console.log(`\n${title}  [${elapsedSeconds().toFixed(0)} s]`);
}

export function say(text: string): void {
  console.log(`  ${text}`);
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Shows `work`'s progress until it ends; says how long it took. */
export async function withProgress<T>(
  title: string,
  work: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const display = process.stderr.isTTY === true ? new Bar(title) : new Lines(title);
  try {
    return await work((progress) => display.update(progress));
  } finally {
    display.stop();
    say(`${title}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
}

class Bar {
  readonly #bar: SingleBar;
  readonly #title: string;
  #phase: string | null = null;

  constructor(title: string) {
    this.#title = title;
    this.#bar = new SingleBar({
      format: "  {bar} {percentage}% {title} {phase}  {rate}/s, {eta_formatted} left",
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      barsize: 24,
    });
  }

  #phaseStartedMs = 0;

  update({ phase, done, total }: Progress): void {
    if (this.#phase !== phase) {
      if (this.#phase !== null) this.#bar.stop();
      this.#phase = phase;
      this.#phaseStartedMs = performance.now();
      this.#bar.start(total ?? Math.max(done, 1), done, { title: this.#title, phase, rate: "-" });
    }
    if (total !== null) this.#bar.setTotal(total);
    const seconds = (performance.now() - this.#phaseStartedMs) / 1000;
    const rate = seconds > 0 ? formatCount(Math.round(done / seconds)) : "-";
    this.#bar.update(done, { title: this.#title, phase, rate });
  }

  stop(): void {
    if (this.#phase !== null) this.#bar.stop();
  }
}

class Lines {
  readonly #title: string;
  #lastMs = performance.now();

  constructor(title: string) {
    this.#title = title;
  }

  update({ phase, done, total }: Progress): void {
    if (performance.now() - this.#lastMs < LINE_EVERY_MS) return;
    this.#lastMs = performance.now();
    const share =
      total === null || total === 0 ? "" : ` of ${formatCount(total)} (${Math.floor((100 * done) / total)}%)`;
    console.log(`    ${this.#title}, ${phase}: ${formatCount(done)}${share}`);
  }

  stop(): void {}
}

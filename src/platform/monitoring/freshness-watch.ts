/**
 * Judges every second whether what sources and views promise of their freshness holds, turns fallbacks on and off by that,
 * and remembers when it was broken: in `monitor/freshness/violations.json`, across restarts.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatMicros, type Micros, parseMicros } from "../../base/micros.ts";
import { formatViewName } from "../../define/definition.ts";
import { type FreshnessFacts, judge, type Judged, type ViewFacts } from "../../monitor/freshness/judge.ts";
import { type FreshnessReport, freshnessReport, type ViewFreshness } from "../../monitor/freshness/report.ts";
import { freshnessSignals } from "../../monitor/freshness/signals.ts";
import { type Violation, Violations } from "../../monitor/freshness/violations.ts";
import type { Signal, SignalSource } from "../../monitor/signal.ts";
import { replaceFile } from "../../registry/atomic-file.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { SourceRuntimes } from "../source-runtimes.ts";
import { oldestEntities } from "./oldest-entities.ts";

export type { FreshnessReport, Promised, SourceFreshness, ViewFreshness } from "../../monitor/freshness/report.ts";

const JUDGE_MS = 1000;
/** Entities named in a signal. */
const SIGNAL_ENTITIES = 5;

export interface FreshnessOptions {
  /** So many of the entities whose last event is the longest ago are named, by looking at all. Default 0. */
  readonly oldest?: number;
}

export class FreshnessWatch implements SignalSource {
  readonly #context: RuntimeContext;
  readonly #sources: SourceRuntimes;
  readonly #file: string;
  readonly #violations: Violations;
  readonly #judging: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();

  private constructor(context: RuntimeContext, sources: SourceRuntimes, stored: readonly Violation[]) {
    this.#context = context;
    this.#sources = sources;
    this.#file = fileOf(context.dataDir);
    this.#violations = new Violations(stored);
    this.#judging = setInterval(() => this.judgeNow(), JUDGE_MS);
    this.#judging.unref();
  }

  static async open(context: RuntimeContext, sources: SourceRuntimes): Promise<FreshnessWatch> {
    return new FreshnessWatch(context, sources, await readViolations(fileOf(context.dataDir)));
  }

  /** Also done every second. */
  judgeNow(): void {
    const now = this.#context.clock.now();
    this.#judge(this.#facts(), now);
  }

  async report({ oldest = 0 }: FreshnessOptions = {}): Promise<FreshnessReport> {
    const now = this.#context.clock.now();
    const facts = this.#facts();
    const judged = this.#judge(facts, now);
    const { stale } = this.#sources;
    const isFallenBack = (view: string): boolean => stale.of(view).active !== null;
    const report = freshnessReport({ facts, judged, violations: this.#violations, isFallenBack }, now);
    if (oldest === 0) return report;
    const views: ViewFreshness[] = [];
    for (const view of report.views)
      views.push({ ...view, oldest_entities: await this.#oldest(view.view, oldest, now) });
    return { ...report, views };
  }

  async signals(now: number): Promise<readonly Signal[]> {
    const judged = this.#judge(this.#facts(), now);
    const signals: Signal[] = [];
    for (const signal of freshnessSignals(judged, this.#violations, now)) {
      const { view } = signal.subject;
      const names = signal.kind === "entity-age" && signal.isBeyond && view !== undefined;
      const worst = names ? { oldest_entities: await this.#oldest(view, SIGNAL_ENTITIES, now) } : {};
      signals.push({ ...signal, detail: { ...signal.detail, ...worst } });
    }
    return signals;
  }

  /** What metrics show. */
  measured(): { readonly facts: FreshnessFacts; readonly judged: readonly Judged[]; readonly nowMicros: number } {
    const nowMicros = this.#context.clock.now();
    const facts = this.#facts();
    return { facts, judged: judge(facts, nowMicros), nowMicros };
  }

  async close(): Promise<void> {
    clearInterval(this.#judging);
    await this.#writing;
  }

  #judge(facts: FreshnessFacts, now: number): readonly Judged[] {
    const judged = judge(facts, now);
    for (const view of facts.views) this.#fallBack(view, judged);
    if (this.#violations.note(judged, now)) this.#store();
    return judged;
  }

  #fallBack({ view, source, sla }: ViewFacts, judged: readonly Judged[]): void {
    const isBroken = judged.some(
      (one) =>
        one.isBroken &&
        ((one.kind === "pipeline-age" && one.view === view) ||
          (one.kind === "source-silence" && one.source === source)),
    );
    if (!this.#sources.stale.set(view, isBroken ? (sla?.fallback ?? null) : null)) return;
    // Answers that were kept say the other.
    this.#runner(view)?.changes.allChanged();
  }

  #facts(): FreshnessFacts {
    const { registry } = this.#context;
    const runtimes = this.#sources.freshness();
    const sources = registry.sources().map(({ definition: { name, sla }, createdAt }) => {
      const { lastEventAt = null } = runtimes.get(name) ?? {};
      return { source: name, sla, lastEventAt, registeredAt: parseMicros(createdAt) };
    });
    const views = registry.views().flatMap(({ definition }): ViewFacts[] => {
      const view = formatViewName(definition);
      const runtime = runtimes.get(definition.source);
      const runner = runtime?.runners.find(({ name }) => name === view);
      if (runtime === undefined || runner === undefined) return [];
      const { source, sla } = definition;
      return [{ view, source, sla, oldestUnfoldedAt: runtime.oldestUnfoldedAt, entities: runner.totals }];
    });
    return { sources, views };
  }

  #runner(view: string) {
    for (const { runners } of this.#sources.freshness().values()) {
      const found = runners.find(({ name }) => name === view);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #oldest(view: string, count: number, now: number): Promise<NonNullable<ViewFreshness["oldest_entities"]>> {
    const runner = this.#runner(view);
    if (runner === undefined) return [];
    const found = await oldestEntities(runner, count);
    return found.map(({ key, lastEventAt }) => ({
      key,
      last_event_at: formatMicros(lastEventAt as Micros),
      age_seconds: (now - lastEventAt) / 1e6,
    }));
  }

  /** What cannot be written is written with the next change; it is judged all the same. */
  #store(): void {
    const text = JSON.stringify(this.#violations.all);
    this.#writing = this.#writing.then(() => replaceFile(this.#file, text)).catch(() => undefined);
  }
}

function fileOf(dataDir: string): string {
  return join(dataDir, "monitor", "freshness", "violations.json");
}

/** None where there is no file, or one that cannot be read: it is of what was, and must keep nothing from opening. */
async function readViolations(file: string): Promise<readonly Violation[]> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Violation[];
  } catch {
    return [];
  }
}

/**
 * Data quality of a data folder: expectations judged on what is archived, profiles brought up to date and shown.
 *
 * The owner of the folder first brings the archive up to the end of the log. Beside it, what is archived is what there is to
 * see, and profiles are those that the owner has written.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { throwIfCancelled } from "../../base/cancelled.ts";
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros, type Micros, MICROS_PER_DAY, parseMicros } from "../../base/micros.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import { TurnQueue } from "../../base/turn-queue.ts";
import { formatViewName, type SourceDefinition, type ViewDefinition } from "../../define/definition.ts";
import type { ExpectationDefinition } from "../../define/expectation-definition.ts";
import { isOfOneValue } from "../../define/expectation.ts";
import { judge, type Judgement } from "../../monitor/quality/judge.ts";
import { judgedEvents, judgedFeatures, type JudgedTable, type Stretch } from "../../monitor/quality/judged-table.ts";
import { profileOf } from "../../monitor/quality/column-profile.ts";
import { ProfileFiles } from "../../monitor/quality/profile-files.ts";
import { type FeatureMemory, profileEvents, profileFeatures, profileFolder } from "../../monitor/quality/profiler.ts";
import { RefusedEvents } from "../../monitor/quality/refused-events.ts";
import {
  answerJudgement,
  answerProfile,
  type QualityReport,
  signalOf,
  type SubjectAnswer,
  withRefused,
} from "../../monitor/quality/report.ts";
import type { Signal, SignalSource } from "../../monitor/signal.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import { filesBehind } from "../../offline-store/event-archive.ts";
import type { Registered } from "../../registry/registry.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { DeadLetterDesk } from "../dead-letter-desk.ts";
import { workerProfileFiles } from "../kafka/worker-profile-files.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { SourceRuntimes } from "../source-runtimes.ts";

export interface QualityRequest {
  /** A source, or a view as `name` or `name@version`; all of them where it is not given. */
  readonly name?: string;
  /** `2026-11-26`, UTC: all is judged over that day. */
  readonly day?: string;
}

type Subject = SourceDefinition | ViewDefinition;

/** An expectation as it was last judged, for the metrics. */
export interface LastJudged {
  readonly subject: string;
  readonly expectation: string;
  readonly judged: Judgement;
}

export class QualityDesk implements SignalSource {
  readonly #context: RuntimeContext;
  readonly #ports: TrainingPorts;
  readonly #isOwner: boolean;
  readonly #refused: RefusedEvents;
  #last: readonly LastJudged[] = [];
  /** What is known of feature rows, by view. */
  readonly #features = new Map<string, FeatureMemory>();
  readonly #profiling = new TurnQueue();
  /** One at a time: each takes memory of an engine of its own. */
  readonly #questions = new TurnQueue();

  constructor(context: RuntimeContext, ports: TrainingPorts, sources: SourceRuntimes | null) {
    this.#context = context;
    this.#ports = ports;
    this.#isOwner = sources !== null;
    const letters = new DeadLetterDesk(context, sources);
    this.#refused = new RefusedEvents({
      clock: context.clock,
      counts: sources !== null,
      letters: async (source) => {
        const filter = { source, code: "EXPECTATION_FAILED", includeResolved: true, limit: Number.POSITIVE_INFINITY };
        const found = await letters.list(filter);
        return found.flatMap(({ expectation, at }) =>
          expectation === undefined ? [] : [{ expectation, atMicros: parseMicros(at) }],
        );
      },
    });
  }

  async close(): Promise<void> {
    this.#refused.close();
    await Promise.all([this.#questions.idle(), this.#profiling.idle()]);
  }

  /**
   * The owner first brings the profiles up to date, unless they are wanted as they are: what may take long is not for a
   * request to wait for. Throws `DEFINITION_UNKNOWN`, `REQUEST_INVALID` for a day that is none.
   */
  report(request: QualityRequest, profilesAsTheyAre = false): Promise<QualityReport> {
    return this.#questions.take(() => this.#report(request, profilesAsTheyAre));
  }

  async #report({ name, day }: QualityRequest, profilesAsTheyAre: boolean): Promise<QualityReport> {
    const nowMicros = this.#context.clock.now();
    const stretch = day === undefined ? null : stretchOfDay(day, nowMicros);
    const shownDay = Math.floor((stretch === null ? nowMicros : stretch.startMicros + 1) / MICROS_PER_DAY);
    const subjects = name === undefined ? this.#subjects() : [this.#subject(name)];
    if (this.#isOwner && !profilesAsTheyAre) await this.#bringUp(subjects, 1);
    const answers = await this.#withEngine(async (engine) => {
      const found: SubjectAnswer[] = [];
      for (const subject of subjects) {
        const judged = await this.#judge(engine, subject, nowMicros, stretch);
        found.push({
          source: subject.kind === "view" ? null : subject.name,
          view: subject.kind === "view" ? formatViewName(subject) : null,
          expectations: judged.map((one) => answerJudgement(one.judged, one.refused)),
          day: dayText(shownDay),
          profile: await this.#profile(engine, subject, shownDay),
        });
      }
      return found;
    });
    const met = answers.every(({ expectations }) => expectations.every((one) => one.met));
    return { as_of: formatMicros(nowMicros), day: day ?? null, subjects: answers, met };
  }

  signals(nowMicros: number): Promise<readonly Signal[]> {
    return this.#questions.take(() => this.#signals(nowMicros));
  }

  async #signals(nowMicros: number): Promise<readonly Signal[]> {
    const subjects = this.#subjects().filter(({ expectations = [] }) => expectations.length > 0);
    if (subjects.length === 0) {
      this.#last = [];
      return [];
    }
    const last: LastJudged[] = [];
    const signals = await this.#withEngine(async (engine) => {
      const found: Signal[] = [];
      for (const subject of subjects) {
        const of = subject.kind === "view" ? { view: formatViewName(subject) } : { source: subject.name };
        for (const { judged, refused } of await this.#judge(engine, subject, nowMicros, null)) {
          last.push({ subject: of.view ?? of.source!, expectation: judged.name, judged });
          found.push(...signalOf(of, judged, refused));
        }
      }
      return found;
    });
    this.#last = last;
    return signals;
  }

  /** Each expectation as it was judged last, by `signals`. */
  lastJudged(): readonly LastJudged[] {
    return this.#last;
  }

  /**
   * Brings all profiles up to what is archived, in `share` of the time; one such work at a time. Only for the owner of the
   * folder.
   */
  updateProfiles(share: number, signal?: AbortSignal): Promise<void> {
    return this.#bringUp(this.#subjects(), share, signal);
  }

  #bringUp(subjects: readonly Subject[], share: number, signal?: AbortSignal): Promise<void> {
    return this.#profiling.take(() =>
      this.#withEngine(async (engine) => {
        for (const subject of subjects) {
          if (signal?.aborted === true) return;
          await this.#bringUpOne(engine, subject, share, signal);
        }
      }),
    );
  }

  /** Does the work, which may remove profiles, while none is read or written; a round that is under way ends first. */
  withoutProfiling<T>(work: () => Promise<T>): Promise<T> {
    return this.#profiling.take(() => work().finally(() => this.#features.clear()));
  }

  async #bringUpOne(engine: QueryEngine, subject: Subject, share: number, signal?: AbortSignal): Promise<void> {
    const options = {
      engine,
      files: this.#files(subject),
      rest: async (workedMs: number): Promise<void> => {
        if (share < 1)
          await sleep(workedMs * (1 / share - 1), undefined, { signal, ref: false }).catch(() => undefined);
      },
      check: (): void => {
        throwIfCancelled(signal);
      },
    };
    if (subject.kind === "view") {
      // Its events are folded elsewhere, and no feature rows are written.
      if (this.#isOnKafka(subject)) return;
      const name = formatViewName(subject);
      const memory: FeatureMemory = this.#features.get(name) ?? { files: new Map(), profiled: new Map() };
      this.#features.set(name, memory);
      await profileFeatures(options, subject, await this.#featureFiles(subject), memory);
      return;
    }
    const archived = await (await this.#ports.archive(subject.name)).files();
    // Of a source on Kafka workers keep the events, in partitions with offsets of their own.
    if (archived.keyedBy === undefined) await profileEvents(options, subject, archived);
  }

  async #judge(
    engine: QueryEngine,
    subject: Subject,
    nowMicros: number,
    day: Stretch | null,
  ): Promise<{ readonly judged: Judgement; readonly refused: number }[]> {
    const { expectations = [] } = subject;
    if (expectations.length === 0) return [];
    const table = await this.#table(engine, subject);
    const registered = parseMicros(this.#registered(subject).createdAt);
    const sinceMicros = Math.min(registered, table.firstMicros ?? registered);
    const found: { judged: Judgement; refused: number }[] = [];
    for (const one of expectations) {
      const stretch = day ?? { startMicros: nowMicros - one.windowMicros, endMicros: nowMicros };
      const judged = await judge(table, one, stretch, { sinceMicros });
      const refused = await this.#refusedBy(subject, one, stretch);
      found.push({ judged: withRefused(judged, refused), refused });
    }
    return found;
  }

  async #refusedBy(
    subject: Subject,
    { name, rule, severity }: ExpectationDefinition,
    stretch: Stretch,
  ): Promise<number> {
    if (severity === "warn" || !isOfOneValue(rule)) return 0;
    return this.#refused.count(subject.name, name, stretch);
  }

  async #table(engine: QueryEngine, subject: Subject): Promise<JudgedTable> {
    if (subject.kind === "view") return judgedFeatures(engine, subject, await this.#featureFiles(subject));
    const archived = await (await this.#ports.archive(subject.name)).files();
    const key = this.#context.registry.views().find(({ definition }) => definition.source === subject.name);
    return judgedEvents(engine, subject, filesBehind(archived, key?.definition.key ?? []));
  }

  async #featureFiles(view: ViewDefinition) {
    const table = await this.#context.offline.find(`features/${formatViewName(view)}`);
    return table === null ? [] : (await table.snapshot()).files;
  }

  async #profile(engine: QueryEngine, subject: Subject, day: number): Promise<SubjectAnswer["profile"]> {
    const found = await this.#files(subject).day(engine, day);
    if (found === null) return null;
    const order = (subject.kind === "view" ? subject.features : subject.columns).map(({ name }) => name);
    return found
      .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
      .map(({ name, type, sketch }) => answerProfile(name, type, profileOf(sketch)));
  }

  #files(subject: Subject): ProfileFiles {
    const { workerTables } = this.#context;
    // Of a source on Kafka, and of its views, workers keep the profiles beside the events.
    if (workerTables !== undefined && this.#isOnKafka(subject)) return workerProfileFiles(workerTables.folder, subject);
    return new ProfileFiles(join(qualityFolder(this.#context.dataDir), profileFolder(subject)));
  }

  #isOnKafka(subject: Subject): boolean {
    const source = subject.kind === "view" ? this.#context.registry.source(subject.source).definition : subject;
    return source.kind === "stream" && source.kafka !== undefined;
  }

  /** Sources, then the views that are written offline. */
  #subjects(): Subject[] {
    const { registry } = this.#context;
    return [
      ...registry.sources().map(({ definition }) => definition),
      ...registry.views().flatMap(({ definition }) => (definition.offline ? [definition] : [])),
    ];
  }

  #subject(name: string): Subject {
    const { registry } = this.#context;
    const source = registry.sources().find(({ definition }) => definition.name === name);
    if (source !== undefined) return source.definition;
    const views = registry.views().map(({ definition }) => definition);
    const view = views.find((one) => formatViewName(one) === name);
    if (view !== undefined) return view;
    if (views.some((one) => one.name === name)) return registry.view(name).definition;
    const names = [...registry.sources(), ...registry.views()].map(({ definition }) => definition.name);
    throw new OnefoldError("DEFINITION_UNKNOWN", `there is no source or view "${name}"`, {
      candidates: nearestNames(name, names),
    });
  }

  #registered(subject: Subject): Registered<Subject> {
    const { registry } = this.#context;
    return subject.kind === "view" ? registry.view(subject.name, subject.version) : registry.source(subject.name);
  }

  async #withEngine<T>(work: (engine: QueryEngine) => Promise<T>): Promise<T> {
    const engine = await this.#context.openEngine({ threads: 1 });
    try {
      return await work(engine);
    } finally {
      await engine.close();
    }
  }
}

/** Where profiles lie in a data folder. */
export function qualityFolder(dataDir: string): string {
  return join(dataDir, "monitor", "quality");
}

/** The day up to now: what is yet to come of it is not judged. Throws `REQUEST_INVALID`. */
function stretchOfDay(day: string, nowMicros: number): Stretch {
  const start = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) * 1000 : Number.NaN;
  if (!Number.isSafeInteger(start)) {
    throw new OnefoldError("REQUEST_INVALID", `"${day}" is not a day`, { hint: "write it as 2026-11-26 (UTC)" });
  }
  // Its first microsecond belongs to it, and that of the next day does not.
  const endMicros = Math.min(start + MICROS_PER_DAY - 1, Math.max(start, nowMicros));
  return { startMicros: start - 1, endMicros };
}

function dayText(day: number): string {
  return formatMicros((day * MICROS_PER_DAY) as Micros).slice(0, 10);
}

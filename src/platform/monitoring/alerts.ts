/**
 * Alerts, while the owner of a data folder serves: on an interval all parts of monitoring are asked, the rules judge what
 * they say, and what follows is stored in one step with the notices that it makes. Delivery and training go on beside.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { type Micros, MICROS_PER_HOUR, MICROS_PER_SECOND, parseDuration, parseMicros } from "../../base/micros.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import type { DestinationDefinition, RuleDefinition } from "../../define/alert-definition.ts";
import { defaultAlerts } from "../../define/alert.ts";
import type { AlertState } from "../../monitor/alerts/alert-state.ts";
import type { AlertContent, AlertStore, HistoryEvent } from "../../monitor/alerts/alert-store.ts";
import type { AlertGauges } from "../../monitor/alerts/alert-metrics.ts";
import { Courier, eventOf } from "../../monitor/alerts/courier.ts";
import { evaluate, type Round } from "../../monitor/alerts/evaluate.ts";
import { alertNotice, foundOf, testNotice } from "../../monitor/alerts/notice.ts";
import { type Undelivered, withAdded } from "../../monitor/alerts/outbox.ts";
import { DeliveryFailure, send, type SendHouse } from "../../monitor/alerts/send.ts";
import type { Silence } from "../../monitor/alerts/silence.ts";
import { Trainer } from "../../monitor/alerts/trainer.ts";
import type { SetBuilder, Training } from "../../monitor/alerts/training.ts";
import type { Registry } from "../../registry/registry.ts";
import type {
  AlertDesk,
  HistoryRequest,
  ShownAlerts,
  ShownEvent,
  ShownSilence,
  SilenceRequest,
} from "../../serve/alert-desk.ts";
import { AskedSignals } from "./asked-signals.ts";
import { servicePartsOf } from "./service-parts.ts";
import { shownAlerts, shownEvent, shownSilence, time } from "./shown-alerts.ts";
import type { NamedSignalSource } from "./signal-sources.ts";

export interface AlertsOptions {
  /** From the beginning of one round of judging to that of the next. Default one minute. */
  readonly everyMicros?: number;
  /** How long a part of monitoring may take to answer. Default 30 s. */
  readonly answerMicros?: number;
  /** Told of what could not be stored. */
  readonly onTrouble?: (error: unknown) => void;
}

export interface AlertsHouse {
  readonly store: AlertStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly sources: readonly NamedSignalSource[];
  readonly builder: SetBuilder;
}

const EVERY_MICROS = 60 * MICROS_PER_SECOND;
const ANSWER_MICROS = 30 * MICROS_PER_SECOND;
const SILENCE_MICROS_MAX = 366 * 86_400 * MICROS_PER_SECOND;
const HISTORY_LIMIT = 100;

export class Alerts implements AlertDesk {
  readonly #house: AlertsHouse;
  readonly #options: AlertsOptions;
  readonly #asked: AskedSignals;
  readonly #courier: Courier;
  readonly #trainer: Trainer;
  readonly #send: SendHouse;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #evaluatedMicros: number | null = null;
  #isClosed = false;

  constructor(house: AlertsHouse, options: AlertsOptions = {}) {
    this.#house = house;
    this.#options = options;
    this.#asked = new AskedSignals(house.sources, (options.answerMicros ?? ANSWER_MICROS) / 1000);
    const { store, clock, builder } = house;
    const now = (): number => clock.now();
    const onTrouble = (error: unknown): void => options.onTrouble?.(error);
    this.#send = { fetch, environment: (name) => process.env[name], now };
    this.#courier = new Courier({
      store,
      now,
      random: Math.random,
      destination: (name) => this.#destinations().find((one) => one.name === name) ?? null,
      send: (destination, notice, signal) => sendLoaded(house.registry, destination, notice, this.#send, signal),
      onTrouble,
    });
    this.#trainer = new Trainer({
      store,
      builder,
      now,
      newId: randomUUID,
      onOutbox: () => this.#courier.wake(),
      onTrouble,
    });
  }

  /** Judges now, and on the interval from then on; a second call does nothing. */
  start(): void {
    if (this.#isClosed || this.#timer !== null) return;
    const { everyMicros = EVERY_MICROS } = this.#options;
    // A round that takes longer than the interval is not overtaken.
    this.#timer = setInterval(() => void this.#tick(), everyMicros / 1000).unref();
    this.#courier.wake();
    this.#trainer.wake();
    void this.#tick();
  }

  /** One round, as on the interval. Throws what storing it throws. */
  async evaluateNow(): Promise<void> {
    const { store, registry, clock } = this.#house;
    const rules = this.#rules();
    const watched = new Set(rules.flatMap(({ watches }) => watches.kinds));
    const signals = await this.#asked.ask(clock.now(), watched);
    if (this.#isClosed) return;
    const at = clock.now();
    await store.change(at, (content) => {
      const round = evaluate(content.memory, rules, signals, servicePartsOf(registry), at);
      return { ...applyRound(content, round, at), isKeptInMemory: isTheSame(content, round) };
    });
    this.#evaluatedMicros = at;
    this.#courier.wake();
    this.#trainer.wake();
  }

  async list(): Promise<ShownAlerts> {
    return shownAlerts(this.#house.store.content, this.#rules(), {
      evaluatedMicros: this.#evaluatedMicros,
      sources: this.#asked.shown(),
      nowMicros: this.#house.clock.now(),
    });
  }

  async history({ rule, event, since, limit = HISTORY_LIMIT }: HistoryRequest): Promise<readonly ShownEvent[]> {
    const entries = await this.#house.store.history({
      ...(rule === undefined ? {} : { rule }),
      ...(event === undefined ? {} : { event }),
      ...(since === undefined ? {} : { sinceMicros: parseMicros(since) }),
      limit,
    });
    return entries.map(shownEvent);
  }

  async silence(request: SilenceRequest): Promise<ShownSilence> {
    this.#refuseUnknownRule(request.rule);
    const silence = silenceOf(request, this.#house.clock.now());
    await this.#changeSilences((silences) => [...silences, silence], "silenced", silence);
    return shownSilence(silence);
  }

  async unsilence(id: string): Promise<ShownSilence> {
    const { silences } = this.#house.store.content.memory;
    const silence = silences.find((one) => one.id === id);
    if (silence === undefined) {
      throw new OnefoldError("SILENCE_UNKNOWN", `there is no silence ${id.slice(0, 100)}`, {
        hint: "GET /alerts lists those there are; one that is over is gone",
      });
    }
    await this.#changeSilences((all) => all.filter((one) => one.id !== id), "unsilenced", silence);
    return shownSilence(silence);
  }

  async test(destination: string): Promise<{ readonly delivered: true; readonly notice_id: string }> {
    return sendTest(this.#house.registry, destination, this.#send);
  }

  forgetDetails(): Promise<void> {
    return this.#house.store.forgetDetails();
  }

  gauges(): AlertGauges {
    const { memory, outbox } = this.#house.store.content;
    const firing = (rule: RuleDefinition): number =>
      memory.states.filter((state) => state.rule === rule.name && state.phase === "firing").length;
    return {
      firing: this.#rules().map((rule) => ({
        rule: rule.name,
        severity: rule.kind === "alert" ? rule.severity : "none",
        count: firing(rule),
      })),
      undelivered: this.#destinations().map(({ name }) => ({
        destination: name,
        count: outbox.filter((entry) => entry.destination === name).length,
      })),
      failingSources: this.#asked.shown().map(({ name, failures }) => ({ source: name, failures })),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#asked.close();
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.all([this.#round, this.#courier.close(), this.#trainer.close()]);
    await this.#house.store.close();
  }

  /** A silence of a rule that is not there would say nothing and do nothing. One that was taken out may still fire. */
  #refuseUnknownRule(rule: string | undefined): void {
    const { registry, store } = this.#house;
    const names = new Set([...ruleNames(registry), ...store.content.memory.states.map((state) => state.rule)]);
    if (rule === undefined || names.has(rule)) return;
    throw new OnefoldError("DEFINITION_UNKNOWN", `there is no rule "${rule}"`, {
      hint: "onefold alerts list, or GET /alerts, names those that fire",
      candidates: nearestNames(rule, [...names]),
    });
  }

  async #tick(): Promise<void> {
    if (this.#round !== null || this.#isClosed) return;
    this.#round = this.evaluateNow().catch((error: unknown) => this.#options.onTrouble?.(error));
    await this.#round;
    this.#round = null;
  }

  #rules(): readonly RuleDefinition[] {
    return rulesOf(this.#house.registry).filter((rule) => rule.isOff !== true);
  }

  #destinations(): readonly DestinationDefinition[] {
    return destinationsOf(this.#house.registry);
  }

  async #changeSilences(
    change: (silences: readonly Silence[]) => readonly Silence[],
    event: "silenced" | "unsilenced",
    silence: Silence,
  ): Promise<void> {
    const now = this.#house.clock.now();
    const { rule = null, ...detail } = shownSilence(silence);
    await this.#house.store.change(now, (content) => ({
      content: { ...content, memory: { ...content.memory, silences: change(content.memory.silences) } },
      events: [{ event, rule, detail }],
    }));
  }
}

/**
 * Those that are registered; where there is no alert among them, the default ones to all destinations, but to those that
 * train: what is told of a stale source there would be taken for a call to train.
 */
export function rulesOf(registry: Registry): readonly RuleDefinition[] {
  const registered = [...registry.find({ kind: "alert" }), ...registry.find({ kind: "retrain" })];
  const rules = registered.map(({ definition }) => definition as RuleDefinition);
  if (rules.some(({ kind }) => kind === "alert")) return rules;
  const trains = new Set(rules.flatMap(({ to }) => to));
  const taken = new Set(rules.map(({ name }) => name));
  const defaults = defaultAlerts({ to: destinationsOf(registry).filter(({ name }) => !trains.has(name)) });
  return [...defaults.filter(({ name }) => !taken.has(name)), ...rules];
}

export function ruleNames(registry: Registry): string[] {
  return rulesOf(registry).map(({ name }) => name);
}

export function destinationsOf(registry: Registry): readonly DestinationDefinition[] {
  const registered = [...registry.find({ kind: "webhook" }), ...registry.find({ kind: "command" })];
  return registered.map(({ definition }) => definition as DestinationDefinition);
}

/** Throws `DeliveryFailure` for a program that this process has not in its own definitions, too. */
function sendLoaded(registry: Registry, destination: DestinationDefinition, ...given: SendArguments): Promise<void> {
  const problem = destination.kind === "command" ? registry.codeProblem(destination) : null;
  if (problem !== null) return Promise.reject(new DeliveryFailure(problem.message));
  return send(destination, ...given);
}

type SendArguments = Parameters<typeof send> extends [unknown, ...infer Rest] ? Rest : never;

export async function sendTest(
  registry: Registry,
  name: string,
  house: SendHouse,
): Promise<{ readonly delivered: true; readonly notice_id: string }> {
  const destinations = destinationsOf(registry);
  const destination = destinations.find((one) => one.name === name);
  if (destination === undefined) {
    const names = destinations.map((one) => one.name);
    throw new OnefoldError("DEFINITION_UNKNOWN", `no destination "${name}" is registered`, {
      hint: "define it with webhook() or command(), and apply it",
      candidates: nearestNames(name, names),
    });
  }
  const notice = testNotice(randomUUID(), house.now());
  try {
    await sendLoaded(registry, destination, notice, house, new AbortController().signal);
  } catch (error) {
    throw new OnefoldError("DELIVERY_FAILED", `${name}: ${(error as Error).message}`, { where: name });
  }
  return { delivered: true, notice_id: notice.id };
}

function applyRound(
  content: AlertContent,
  { memory, changes, notices, trainings }: Round,
  nowMicros: number,
): { content: AlertContent; events: HistoryEvent[] } {
  const added = together(notices).flatMap(([{ status, rule, isRepeat }, states]): Undelivered[] => {
    const notice = alertNotice(randomUUID(), status, rule, states, nowMicros, isRepeat);
    return rule.to
      .filter((destination) => !isRepeat || !isAwaited(content, rule, destination))
      .map((destination) => ({
        notice,
        destination,
        chain: rule.name,
        createdMicros: nowMicros,
        attempts: 0,
        nextMicros: nowMicros,
        lastError: null,
      }));
  });
  const { outbox, dropped } = withAdded(content.outbox, added);
  const begun = trainings.map(({ rule, states }): Training => ({
    id: randomUUID(),
    rule: rule.name,
    service: rule.service,
    labels: rule.labels,
    boundary: rule.boundary,
    to: rule.to,
    startedMicros: nowMicros,
    found: states.map(({ measured }) => foundOf(measured)),
    trainingSet: null,
    failures: 0,
    nextMicros: nowMicros,
    lastError: null,
  }));
  return {
    content: { memory, outbox, trainings: [...content.trainings, ...begun] },
    events: [
      ...changes.map(({ change, state, reason }): HistoryEvent => ({
        event: change,
        rule: state.rule,
        detail: { ...foundOf(state.measured), ...(reason === null ? {} : { reason }) },
      })),
      ...dropped.map((entry) => eventOf(entry, "undelivered", entry.attempts, "too many notices wait")),
    ],
  };
}

/** A source that changes moves many features at once: they are told of in one notice. */
function together(notices: Round["notices"]): (readonly [Round["notices"][number], AlertState[]])[] {
  const groups = new Map<string, readonly [Round["notices"][number], AlertState[]]>();
  for (const notice of notices) {
    const key = JSON.stringify([notice.rule.name, notice.status, notice.isRepeat]);
    const group = groups.get(key) ?? [notice, []];
    group[1].push(notice.state);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** A notice of the rule waits already: one that says it again would only push others out. */
function isAwaited({ outbox }: AlertContent, rule: RuleDefinition, destination: string): boolean {
  return outbox.some((entry) => entry.destination === destination && entry.chain === rule.name);
}

/** But for what was measured, which changes all the time, and to the hour when: to lose that is to lose nothing. */
function isTheSame({ memory }: AlertContent, round: Round): boolean {
  const plain = ({ states, silences, trainedMicros }: Round["memory"]): string =>
    JSON.stringify([
      states.map(({ measured: _measured, ...state }) => ({
        ...state,
        seenMicros: Math.floor(state.seenMicros / MICROS_PER_HOUR),
      })),
      silences,
      trainedMicros,
    ]);
  return (
    round.changes.length + round.notices.length + round.trainings.length === 0 && plain(memory) === plain(round.memory)
  );
}

function silenceOf(request: SilenceRequest, nowMicros: number): Silence {
  const { rule, until, by, comment = "", ...subject } = request;
  const untilMicros = /^\d+[a-z]+$/.test(until) ? nowMicros + parseDuration(until) : parseMicros(until);
  if (untilMicros <= nowMicros || untilMicros > nowMicros + SILENCE_MICROS_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `a silence until ${until} is over already, or longer than a year`, {
      where: "until",
      hint: `now is ${time(nowMicros)}`,
    });
  }
  if (by.trim() === "")
    throw new OnefoldError("REQUEST_INVALID", "who asks for the silence is missing", { where: "by" });
  return {
    id: randomUUID(),
    ...(rule === undefined ? {} : { rule }),
    subject,
    untilMicros: untilMicros as Micros,
    createdMicros: nowMicros,
    by,
    comment,
  };
}

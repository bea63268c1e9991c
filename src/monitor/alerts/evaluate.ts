/**
 * One round of judging: from what is remembered and the signals of one moment to what is remembered next, what changed,
 * and who is to be told.
 *
 * Who is told follows from the state alone: whoever was told that something fires hears when it is over, and what fires
 * and was not told yet is told as soon as neither a silence nor the cool-down holds it back. So something that flaps is
 * told of once in a cool-down, and what still fires when a silence ends is not lost.
 *
 * A rule may have it told again while something fires. Once that is due of one subject, all that were told and still fire
 * are told again with it, so that there is one such notice in the time, however many began at however many times.
 */
import { MICROS_PER_DAY } from "../../base/micros.ts";
import type { AlertDefinition, RetrainDefinition, RuleDefinition } from "../../define/alert-definition.ts";
import { abandoned, type AlertState, nextState } from "./alert-state.ts";
import { judge } from "./judge.ts";
import { evidenceFor, type ServiceParts, type WatchedSignal, watchesSignal } from "./rule.ts";
import { isSilent, type Silence } from "./silence.ts";

/** What nobody has reported for so long is over. */
export const ABANDONED_MICROS: number = MICROS_PER_DAY;

export interface AlertMemory {
  readonly states: readonly AlertState[];
  readonly silences: readonly Silence[];
  /** By rule: when its last training set was begun. */
  readonly trainedMicros: Readonly<Record<string, number>>;
}

export const NOTHING_REMEMBERED: AlertMemory = { states: [], silences: [], trainedMicros: {} };

/** It began to fire, or it is over; `reason` where that was not its signals' doing. */
export interface AlertChange {
  readonly change: "firing" | "resolved";
  readonly state: AlertState;
  readonly reason: string | null;
}

export interface DueNotice {
  readonly status: "firing" | "resolved";
  readonly rule: RuleDefinition;
  readonly state: AlertState;
  /** It was told before, and fires still. */
  readonly isRepeat: boolean;
}

export interface DueTraining {
  readonly rule: RetrainDefinition;
  /** All that fire now, the ones that were told before among them. */
  readonly states: readonly AlertState[];
}

export interface Round {
  readonly memory: AlertMemory;
  readonly changes: readonly AlertChange[];
  readonly notices: readonly DueNotice[];
  readonly trainings: readonly DueTraining[];
}

/** `rules` are those that are judged: none that is off. */
export function evaluate(
  remembered: AlertMemory,
  rules: readonly RuleDefinition[],
  signals: readonly WatchedSignal[],
  parts: ServiceParts,
  nowMicros: number,
): Round {
  const memory = notAhead(remembered, nowMicros);
  const changes: AlertChange[] = [];
  const notices: DueNotice[] = [];
  const trainings: DueTraining[] = [];
  const silences = memory.silences.filter(({ untilMicros }) => nowMicros < untilMicros);
  const known = new Set(rules.map(({ name }) => name));
  for (const state of memory.states) {
    if (known.has(state.rule) || state.phase !== "firing") continue;
    const over = abandoned(state, nowMicros);
    changes.push({ change: "resolved", state: over, reason: "the rule is off or gone" });
  }
  const trainedMicros: Record<string, number> = {};
  const states = rules.flatMap((rule) => {
    const judged = judgeRule(memory.states, rule, signals, parts, nowMicros, changes);
    if (rule.kind === "alert") {
      const told = judged.map((state) => tell(state, rule, silences, nowMicros, notices));
      return tellAgain(told, rule, silences, nowMicros, notices);
    }
    const last = memory.trainedMicros[rule.name];
    const asked = askToTrain(judged, rule, silences, last ?? null, nowMicros);
    if (asked.training !== null) trainings.push(asked.training);
    const trained = asked.training === null ? last : nowMicros;
    if (trained !== undefined) trainedMicros[rule.name] = trained;
    return asked.states;
  });
  const byName = new Map(rules.map((rule) => [rule.name, rule]));
  return {
    memory: {
      states: states.filter((state) => isWorthKeeping(state, byName.get(state.rule)!, nowMicros)),
      silences,
      trainedMicros,
    },
    changes,
    notices,
    trainings,
  };
}

/** A clock that was ahead and was set right: what is remembered of later than now is as of now, or it would hold all up until then. */
function notAhead(memory: AlertMemory, nowMicros: number): AlertMemory {
  const by = <T extends number | null>(at: T): T => (at !== null && at > nowMicros ? nowMicros : at) as T;
  const trained = Object.entries(memory.trainedMicros).map(([rule, at]) => [rule, by(at)]);
  return {
    ...memory,
    trainedMicros: Object.fromEntries(trained),
    states: memory.states.map((state) => ({
      ...state,
      sinceMicros: by(state.sinceMicros),
      beyondSinceMicros: by(state.beyondSinceMicros),
      countedEndMicros: by(state.countedEndMicros),
      wellSinceMicros: by(state.wellSinceMicros),
      seenMicros: by(state.seenMicros),
      toldMicros: by(state.toldMicros),
    })),
  };
}

function judgeRule(
  remembered: readonly AlertState[],
  rule: RuleDefinition,
  signals: readonly WatchedSignal[],
  parts: ServiceParts,
  nowMicros: number,
  changes: AlertChange[],
): AlertState[] {
  const states = new Map(remembered.filter((one) => one.rule === rule.name).map((one) => [one.key, one]));
  const note = (before: AlertState | undefined, after: AlertState, reason: string | null): void => {
    if (after.phase === before?.phase) return;
    if (after.phase === "firing" || after.phase === "resolved")
      changes.push({ change: after.phase, state: after, reason });
  };
  for (const finding of judge(rule, signals, parts)) {
    const before = states.get(finding.key);
    const timing = { ...rule, ...evidenceFor(rule, finding.measured.kind) };
    const after = nextState(before ?? null, finding, timing, nowMicros);
    states.set(finding.key, after);
    note(before, after, null);
  }
  for (const [key, before] of states) {
    const isWatched = watchesSignal(rule, before.measured, parts);
    if (isWatched && nowMicros - before.seenMicros < ABANDONED_MICROS) continue;
    const after = abandoned(before, nowMicros);
    states.set(key, after);
    note(before, after, isWatched ? "nobody reports it any more" : "the rule does not watch it any more");
  }
  return [...states.values()];
}

function tell(
  state: AlertState,
  rule: RuleDefinition,
  silences: readonly Silence[],
  nowMicros: number,
  notices: DueNotice[],
): AlertState {
  const isFiring = state.phase === "firing";
  if (isFiring === state.isTold || rule.to.length === 0 || isSilent(state, silences, nowMicros)) return state;
  if (isFiring && isCooling(state.toldMicros, rule, nowMicros)) return state;
  notices.push({ status: isFiring ? "firing" : "resolved", rule, state, isRepeat: false });
  return { ...state, isTold: isFiring, toldMicros: isFiring ? nowMicros : state.toldMicros };
}

/** Of what was told before this moment, and fires still. */
function tellAgain(
  states: readonly AlertState[],
  rule: AlertDefinition,
  silences: readonly Silence[],
  nowMicros: number,
  notices: DueNotice[],
): readonly AlertState[] {
  const { repeatMicros } = rule;
  if (repeatMicros === undefined) return states;
  const firing = states.filter(
    (state) =>
      state.phase === "firing" &&
      state.isTold &&
      state.toldMicros !== nowMicros &&
      !isSilent(state, silences, nowMicros),
  );
  if (!firing.some(({ toldMicros }) => nowMicros - toldMicros! >= repeatMicros)) return states;
  const again = new Set(firing);
  return states.map((state) => {
    if (!again.has(state)) return state;
    notices.push({ status: "firing", rule, state, isRepeat: true });
    return { ...state, toldMicros: nowMicros };
  });
}

function isCooling(lastMicros: number | null, { cooldownMicros }: RuleDefinition, nowMicros: number): boolean {
  return lastMicros !== null && nowMicros - lastMicros < cooldownMicros;
}

/** One training set for all that fires, however many features drift at once. */
function askToTrain(
  states: readonly AlertState[],
  rule: RetrainDefinition,
  silences: readonly Silence[],
  lastMicros: number | null,
  nowMicros: number,
): { readonly states: readonly AlertState[]; readonly training: DueTraining | null } {
  const over = states.map((state) => (state.phase === "firing" ? state : { ...state, isTold: false }));
  const firing = over.filter((state) => state.phase === "firing" && !isSilent(state, silences, nowMicros));
  const isNew = firing.some(({ isTold }) => !isTold);
  if (!isNew || isCooling(lastMicros, rule, nowMicros)) return { states: over, training: null };
  const told = new Map(firing.map((state) => [state, { ...state, isTold: true, toldMicros: nowMicros }]));
  return {
    states: over.map((state) => told.get(state) ?? state),
    training: { rule, states: [...told.values()] },
  };
}

/** What is calm, told to the end and out of its cool-down is as good as never seen. */
function isWorthKeeping(state: AlertState, rule: RuleDefinition, nowMicros: number): boolean {
  const isCalm = state.phase === "inactive" || state.phase === "resolved";
  return !isCalm || state.isTold || isCooling(state.toldMicros, rule, nowMicros);
}

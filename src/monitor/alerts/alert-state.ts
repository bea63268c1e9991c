/**
 * The life of an alert, of one rule and one subject:
 *
 *     inactive ──beyond──▶ pending ──long enough, in enough windows──▶ firing ──well for long enough──▶ resolved
 *        ▲                    │                                          │ ▲                               │
 *        └────────well────────┘                                     well └─┘ beyond again        beyond: pending
 *
 * Pure: what comes next follows from what is, one finding and the time.
 */
import type { RuleShape } from "../../define/alert-definition.ts";
import type { Finding, Measured } from "./judge.ts";

export type AlertPhase = "inactive" | "pending" | "firing" | "resolved";

export interface AlertState {
  readonly rule: string;
  readonly key: string;
  readonly phase: AlertPhase;
  /** Since when it is in this phase. */
  readonly sinceMicros: number;
  /** Of the findings without a break that are beyond: when the first came; null while it is well. */
  readonly beyondSinceMicros: number | null;
  /** Windows among these that do not overlap, and the end of the last that was counted. */
  readonly windows: number;
  readonly countedEndMicros: number | null;
  /** Of the findings without a break that are well, while it fires. */
  readonly wellSinceMicros: number | null;
  /** When it was last reported at all. */
  readonly seenMicros: number;
  /** Destinations were told that it fires, and not yet that it is resolved. */
  readonly isTold: boolean;
  /** When they were last told that it fires; null where they never were. */
  readonly toldMicros: number | null;
  readonly measured: Measured;
}

export type RuleTiming = Pick<RuleShape, "forMicros" | "windows" | "keepFiringMicros">;

/** `before` is null where nothing is remembered of the subject. */
export function nextState(
  before: AlertState | null,
  finding: Finding,
  timing: RuleTiming,
  nowMicros: number,
): AlertState {
  const state = before ?? unseen(finding, nowMicros);
  const seen = { ...state, seenMicros: nowMicros, measured: finding.measured };
  if (state.phase === "firing") return nextWhileFiring(seen, finding, timing, nowMicros);
  if (!finding.isBeyond) {
    const phase = state.phase === "pending" ? "inactive" : state.phase;
    return { ...seen, ...CALM, ...moved(state, phase, nowMicros) };
  }
  const beyondSinceMicros = state.beyondSinceMicros ?? nowMicros;
  const counted = { ...seen, beyondSinceMicros, ...countWindow(state, finding) };
  const fires = nowMicros - beyondSinceMicros >= timing.forMicros && counted.windows >= timing.windows;
  return { ...counted, ...moved(state, fires ? "firing" : "pending", nowMicros) };
}

const CALM = { beyondSinceMicros: null, windows: 0, countedEndMicros: null, wellSinceMicros: null };

function nextWhileFiring(
  state: AlertState,
  { isBeyond }: Finding,
  { keepFiringMicros }: RuleTiming,
  nowMicros: number,
): AlertState {
  if (isBeyond) return { ...state, wellSinceMicros: null };
  const wellSinceMicros = state.wellSinceMicros ?? nowMicros;
  if (nowMicros - wellSinceMicros < keepFiringMicros) return { ...state, wellSinceMicros };
  return { ...state, ...CALM, ...moved(state, "resolved", nowMicros) };
}

/** Nobody reports it any more: what fired is over, and what was about to does not. */
export function abandoned(state: AlertState, nowMicros: number): AlertState {
  const phase = state.phase === "firing" ? "resolved" : state.phase === "pending" ? "inactive" : state.phase;
  return { ...state, ...CALM, ...moved(state, phase, nowMicros) };
}

/** A window that shares time with the last one counted is that window, seen again. */
function countWindow(
  { windows, countedEndMicros }: AlertState,
  { windowStartMicros, windowEndMicros }: Finding,
): Pick<AlertState, "windows" | "countedEndMicros"> {
  const isNext =
    countedEndMicros === null || (windowStartMicros >= countedEndMicros && windowEndMicros > countedEndMicros);
  return isNext ? { windows: windows + 1, countedEndMicros: windowEndMicros } : { windows, countedEndMicros };
}

function moved(state: AlertState, phase: AlertPhase, nowMicros: number): Pick<AlertState, "phase" | "sinceMicros"> {
  return { phase, sinceMicros: phase === state.phase ? state.sinceMicros : nowMicros };
}

function unseen({ rule, key, measured }: Finding, nowMicros: number): AlertState {
  return {
    rule,
    key,
    phase: "inactive",
    sinceMicros: nowMicros,
    ...CALM,
    seenMicros: nowMicros,
    isTold: false,
    toldMicros: null,
    measured,
  };
}

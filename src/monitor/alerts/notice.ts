/**
 * A notice: what a destination is told, as plain data; the body of a webhook and the stdin of a command.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { RuleDefinition, Severity } from "../../define/alert-definition.ts";
import type { SignalSubject } from "../signal.ts";
import type { AlertState } from "./alert-state.ts";
import type { Measured } from "./judge.ts";

/** What was found, as the wire shows it. */
export interface Found {
  readonly kind: string;
  readonly subject: SignalSubject;
  readonly measure: string;
  readonly value: number | null;
  readonly threshold: number | null;
  readonly p_value: number | null;
  /** After the correction for all that was tested together. */
  readonly adjusted_p_value: number | null;
  readonly samples: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A fresh training set that a model is to be trained on. */
export interface FreshSet {
  readonly service: string;
  readonly training_set: string;
  readonly rows: number;
  /** Of the Parquet file, on the server's machine. */
  readonly path: string;
  /** Of the server's HTTP door. */
  readonly download: string;
}

export interface Notice {
  /** The same however often it is sent: by it a receiver tells what it has had. */
  readonly id: string;
  readonly event: "firing" | "resolved" | "retrain" | "test";
  readonly rule: string;
  readonly severity: Severity | null;
  /** A line for people. */
  readonly text: string;
  /** RFC 3339: when it was decided to tell; since when it is so. */
  readonly at: string;
  readonly since: string;
  /** How many subjects it is about; `found` has the first of them. */
  readonly count: number;
  readonly found: readonly Found[];
  /** Its destinations were told before, and it fires still. */
  readonly repeated: boolean;
  /** Of a retraining. */
  readonly fresh?: FreshSet;
}

/** More would make a body that receivers refuse. */
const FOUND_MAX = 100;

export function foundOf({ adjustedPValue, pValue, value, ...measured }: Measured): Found {
  const { kind, subject, measure, threshold, samples, detail } = measured;
  return {
    kind,
    subject,
    measure,
    // JSON has no infinity.
    value: Number.isFinite(value) ? value : null,
    threshold,
    p_value: pValue,
    adjusted_p_value: adjustedPValue,
    samples,
    detail,
  };
}

export function alertNotice(
  id: string,
  status: "firing" | "resolved",
  rule: RuleDefinition,
  states: readonly Pick<AlertState, "measured" | "sinceMicros">[],
  nowMicros: number,
  isRepeat: boolean,
): Notice {
  const severity = rule.kind === "alert" ? rule.severity : null;
  const more = states.length === 1 ? "" : `; and ${states.length - 1} more`;
  const mark = status === "firing" ? (severity ?? "firing").toUpperCase() : "resolved";
  return {
    id,
    event: status,
    rule: rule.name,
    severity,
    text: `[${isRepeat ? `${mark}, STILL` : mark}] ${rule.name}: ${measuredText(states[0]!.measured)}${more}`,
    at: formatMicros(nowMicros as Micros),
    since: formatMicros(Math.min(...states.map(({ sinceMicros }) => sinceMicros)) as Micros),
    count: states.length,
    found: states.slice(0, FOUND_MAX).map(({ measured }) => foundOf(measured)),
    repeated: isRepeat,
  };
}

export function retrainNotice(
  id: string,
  rule: string,
  found: readonly Found[],
  fresh: FreshSet,
  startedMicros: number,
  nowMicros: number,
): Notice {
  const names = found.map(({ subject }) => subjectText(subject));
  const shown = names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
  return {
    id,
    event: "retrain",
    rule,
    severity: null,
    text: `[retrain] ${rule}: ${shown} moved; ${fresh.rows} fresh rows of ${fresh.service} are in training set ${fresh.training_set}`,
    at: formatMicros(nowMicros as Micros),
    since: formatMicros(startedMicros as Micros),
    count: found.length,
    found: found.slice(0, FOUND_MAX),
    repeated: false,
    fresh,
  };
}

export function testNotice(id: string, nowMicros: number): Notice {
  const at = formatMicros(nowMicros as Micros);
  const text = "[test] a notice to try a destination: nothing is wrong";
  const about = { count: 0, found: [], repeated: false };
  return { id, event: "test", rule: "test", severity: "info", text, at, since: at, ...about };
}

/** `drift of traffic@1.count_1h: psi 0.31, threshold 0.2, over 1,000 values`. */
export function measuredText({ kind, subject, measure, value, threshold, samples }: Measured): string {
  const held = threshold === null ? "" : `, threshold ${numberText(threshold)}`;
  const over = samples <= 1 ? "" : `, over ${samples.toLocaleString("en-US")} values`;
  return `${kind} of ${subjectText(subject)}: ${measure} ${numberText(value)}${held}${over}`;
}

export function subjectText({ source, view, feature, service, expectation }: SignalSubject): string {
  const owner = view ?? service ?? (feature === undefined ? undefined : source);
  const named =
    owner === undefined ? (feature ?? source ?? "everything") : feature === undefined ? owner : `${owner}.${feature}`;
  return expectation === undefined ? named : `${named} (${expectation})`;
}

function numberText(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/**
 * What a failed test says: for each wrong feature what was expected, what came out, and which events counted.
 */
import { formatMicros, type Micros } from "../base/micros.ts";
import { type StatusName, STATUS_NAMES, type ReadBuffer } from "../fold/view-fold.ts";
import { valueToJson } from "../schema/check-value.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { FeatureHistory } from "../training/explain.ts";
import type { SimulatedEvent, SimulatedView } from "./simulated-view.ts";

/** More events than this make nobody wiser. */
const EVENTS_SHOWN = 5;

export interface WrongFeature {
  /** Its place in the view. */
  readonly slot: number;
  /** As a person reads it. */
  readonly expected: string;
}

export interface Moment {
  readonly view: SimulatedView;
  readonly events: readonly SimulatedEvent[];
  readonly key: EntityKey | null;
  readonly asOf: Micros;
  readonly read: ReadBuffer;
}

export function describeDifference(moment: Moment, wrong: readonly WrongFeature[], notes: readonly string[]): string {
  const { view, key, asOf } = moment;
  const { name, version } = view.definition;
  const head = `${name}@${version} of ${view.formatKey(key)} at ${formatMicros(asOf)}:`;
  const lines = wrong.flatMap((feature) => featureLines(moment, feature));
  return [head, ...lines.map((line) => `  ${line}`), ...notes.map((note) => `  (${note})`)].join("\n");
}

function featureLines(moment: Moment, { slot, expected }: WrongFeature): string[] {
  const { view, events, key, asOf, read } = moment;
  const { name, type } = view.fold.features[slot]!;
  const status: StatusName = STATUS_NAMES[read.statuses[slot]!]!;
  const actual = formatValue(read.values[slot]!, type);
  const own = events.filter((event) => event.key === key);
  const history = new FeatureHistory(view, view.definition.features[slot]!, asOf);
  for (const event of own) history.fold(event);
  const roles = history.roles(read.windowStarts[slot]!);
  const { column } = view.definition.features[slot]!.aggregation;
  const inputType = [...view.source.columns, ...view.source.derived].find((one) => one.name === column)?.type;
  const counted = own.flatMap((event, i) => {
    if (roles[i] !== "counted") return [];
    const input = inputType === undefined ? "" : `: ${formatValue(history.events[i]!.input, inputType)}`;
    return [`${event.label} (${formatMicros(event.eventTime)}${input})`];
  });
  const others = own.flatMap((event, i) => (roles[i] === "counted" ? [] : [`${event.label} (${roles[i]})`]));
  return [
    `${name}: expected ${expected}, got ${actual}${status === "PRESENT" ? "" : ` (${status})`}`,
    own.length === 0 ? "  no event is of this entity" : `  counted: ${listed(counted)}`,
    ...(others.length === 0 ? [] : [`  not counted: ${listed(others)}`]),
  ];
}

/** The newest ones. */
function listed(events: readonly string[]): string {
  if (events.length === 0) return "none";
  const before = events.length - EVENTS_SHOWN;
  return `${before > 0 ? `${before} before, then ` : ""}${events.slice(-EVENTS_SHOWN).join(", ")}`;
}

export function formatValue(value: Value, type: ValueType): string {
  const json = JSON.stringify(valueToJson(value, type));
  return json.length > 120 ? `${json.slice(0, 117)}...` : json;
}

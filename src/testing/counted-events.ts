/** Which events a feature's value was made from, in a few lines: the roles are those of `onefold explain`. */
import { formatMicros, type Micros } from "../base/micros.ts";
import type { ReadBuffer } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { FeatureHistory } from "../training/explain.ts";
import type { SimulatedEvent, SimulatedView } from "./simulated-view.ts";
import { formatValue } from "./value-text.ts";

/** More events than this make nobody wiser. */
const EVENTS_SHOWN = 5;

export interface Moment {
  readonly view: SimulatedView;
  readonly events: readonly SimulatedEvent[];
  /** Null is an unseen entity. */
  readonly key: EntityKey | null;
  readonly asOf: Micros;
  readonly read: ReadBuffer;
}

export function countedEvents({ view, events, key, asOf, read }: Moment, slot: number): string[] {
  const own = events.filter((event) => event.key === key);
  if (own.length === 0) return ["no event is of this entity"];
  const feature = view.definition.features[slot]!;
  const history = new FeatureHistory(view, feature, asOf);
  for (const event of own) history.fold(event);
  const roles = history.roles(read.windowStarts[slot]!);
  const columns = [...view.source.columns, ...view.source.derived];
  const inputType = columns.find((column) => column.name === feature.aggregation.column)?.type;
  const counted = own.flatMap((event, i) => {
    if (roles[i] !== "counted") return [];
    const input = inputType === undefined ? "" : `: ${formatValue(history.events[i]!.input, inputType)}`;
    return [`${event.label} (${formatMicros(event.eventTime)}${input})`];
  });
  const others = own.flatMap((event, i) => (roles[i] === "counted" ? [] : [`${event.label} (${roles[i]})`]));
  return [`counted: ${listed(counted)}`, ...(others.length === 0 ? [] : [`not counted: ${listed(others)}`])];
}

/** The newest ones. */
function listed(events: readonly string[]): string {
  if (events.length === 0) return "none";
  const before = events.length - EVENTS_SHOWN;
  return `${before > 0 ? `${before} before, then ` : ""}${events.slice(-EVENTS_SHOWN).join(", ")}`;
}

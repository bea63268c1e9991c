/**
 * Which cells of a raw record say what. Channels that windowed features need come first, because only
 * that part of a record is kept in the bucket list; what lifetime features alone need lies behind it.
 */
import type { AggregationName } from "../define/aggregation-definition.ts";
import type { Row, ValueType } from "../schema/value.ts";
import type { Channel } from "./accumulator.ts";
import type { CheckedFeature } from "./view-check.ts";

export interface ChannelPlan extends Channel {
  /** Index of the predicate that must hold, or -1. */
  readonly predicate: number;
  /** Row position of the input that must not be null, or -1. */
  readonly column: number;
}

/** A column of the row, and the cell of the record it is copied to. */
export interface InputPlan {
  readonly column: number;
  readonly cell: number;
}

/** A mask word of the record, and the channels that have their bits in it. */
export interface MaskPlan {
  readonly cell: number;
  readonly channels: readonly ChannelPlan[];
}

export interface RecordPlan {
  readonly predicates: readonly ((row: Row) => boolean)[];
  readonly masks: readonly MaskPlan[];
  readonly numberInputs: readonly InputPlan[];
  readonly objectInputs: readonly InputPlan[];
  readonly numberCells: number;
  readonly objectCells: number;
  /** So many of them, from the front, are kept in the bucket list. */
  readonly keptNumberCells: number;
  readonly keptObjectCells: number;
}

/** Signed 32-bit arithmetic leaves 31 bits that read back as themselves. */
const BITS_PER_WORD = 31;

/** Values of these types are kept as numbers, all others as objects. */
export function isKeptAsNumber(type: ValueType): boolean {
  return (
    type.name === "float64" ||
    type.name === "timestamp" ||
    type.name === "bool" ||
    (type.name === "int64" && type.wide !== true)
  );
}

export function planChannels(
  features: readonly CheckedFeature[],
  columns: readonly { readonly type: ValueType }[],
): { readonly channelOf: readonly ChannelPlan[]; readonly record: RecordPlan } {
  const predicates: ((row: Row) => boolean)[] = [];
  const predicateKeys: string[] = [];
  const channels = new Map<string, ChannelPlan>();
  const channelOf: ChannelPlan[] = [];
  const masks: { cell: number; channels: ChannelPlan[] }[] = [];
  const numberInputs: InputPlan[] = [];
  const objectInputs: InputPlan[] = [];
  // cell 0 is the event's time
  const cells = { numbers: 1, objects: 0 };
  const kept = { numbers: 1, objects: 0 };

  // windowed features first: only what they need is kept in the list
  for (const isWindowed of [true, false]) {
    const group = features.flatMap((feature, position) =>
      (feature.over !== null) === isWindowed ? [{ feature, position, key: channelKey(feature) }] : [],
    );
    const needValue = new Set(group.filter(({ feature }) => readsValue(feature)).map(({ key }) => key));
    const fresh = new Map<string, CheckedFeature>();
    for (const { feature, key } of group) {
      const known = channels.get(key);
      if (known === undefined || (known.inputCell === -1 && needValue.has(key))) fresh.set(key, feature);
    }
    const words = Array.from({ length: Math.ceil(fresh.size / BITS_PER_WORD) }, () => {
      return { cell: cells.numbers++, channels: [] as ChannelPlan[] };
    });
    masks.push(...words);
    let bits = 0;
    for (const [key, feature] of fresh) {
      const word = words[Math.floor(bits / BITS_PER_WORD)]!;
      const channel: ChannelPlan = {
        maskCell: word.cell,
        bit: 1 << (bits % BITS_PER_WORD),
        inputCell: needValue.has(key) ? inputCell(feature) : -1,
        predicate: predicateIndex(feature),
        column: feature.column,
      };
      channels.set(key, channel);
      word.channels.push(channel);
      bits++;
    }
    for (const { key, position } of group) channelOf[position] = channels.get(key)!;
    if (isWindowed) Object.assign(kept, cells);
  }

  function predicateIndex(feature: CheckedFeature): number {
    if (feature.predicate === null) return -1;
    const known = predicateKeys.indexOf(feature.predicateKey);
    if (known !== -1) return known;
    predicateKeys.push(feature.predicateKey);
    return predicates.push(feature.predicate) - 1;
  }

  function inputCell(feature: CheckedFeature): number {
    if (feature.custom !== null) return cells.objects++;
    const { column } = feature;
    const asNumber = isKeptAsNumber(columns[column]!.type);
    const inputs = asNumber ? numberInputs : objectInputs;
    const known = inputs.find((input) => input.column === column);
    if (known !== undefined) return known.cell;
    const cell = asNumber ? cells.numbers++ : cells.objects++;
    inputs.push({ column, cell });
    return cell;
  }

  return {
    channelOf,
    record: {
      predicates,
      masks,
      numberInputs,
      objectInputs,
      numberCells: cells.numbers,
      objectCells: cells.objects,
      keptNumberCells: kept.numbers,
      keptObjectCells: kept.objects,
    },
  };
}

/** Equal for features that count the same events. A custom aggregation has a channel of its own. */
function channelKey({ custom, column, predicateKey, definition }: CheckedFeature): string {
  return `${custom === null ? "" : definition.name}|${column}|${predicateKey}`;
}

/** What asks only whether and when an event was. */
const WITHOUT_VALUE: ReadonlySet<AggregationName> = new Set(["count", "countSessions", "rate", "timeSinceLast"]);

/** Counting asks only whether the input is there; a custom lifetime state takes its input from the row. */
function readsValue({ custom, over, definition }: CheckedFeature): boolean {
  return custom === null ? !WITHOUT_VALUE.has(definition.aggregation.fn) : over !== null;
}

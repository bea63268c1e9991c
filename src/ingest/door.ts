/**
 * The door of a source: a row as it came in, a checked row or the reason why not out.
 *
 * Pushed events and imported ones pass the same door. What it lets through can be stored, folded by every
 * view on the source, and read back to the bit; what it refuses becomes a dead letter.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatDuration, formatMicros, type Micros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { compileDerived } from "../fold/derive.ts";
import { columnResolver, compileExpression } from "../fold/expression.ts";
import { type CheckOptions, checkValue } from "../schema/check-value.ts";
import { encodeEntityKey, KEY_BYTES_MAX } from "../schema/entity-key.ts";
import { namesOf, type Row, type Value, type ValueType } from "../schema/value.ts";
import type { CheckedRow } from "./event.ts";
import { compileExpectations } from "./expectations.ts";

/** A view on the source and the entity it describes: their key columns must be there in every row. */
export interface DoorView {
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
}

export interface Door {
  /**
   * Checks one row, an object of JSON data (or of JavaScript values, as `checkValue` takes them). `now` is
   * the time the event becomes known: the clock's for a push, the row's own known time for an import.
   *
   * Throws `REQUEST_INVALID` (not an object), `COLUMN_UNKNOWN`, `NULL_NOT_ALLOWED`, what `checkValue` throws,
   * `EVENT_TOO_FAR_AHEAD`, what derived columns throw, `CONSTRAINT_FAILED`, `EXPECTATION_FAILED`, `KEY_MISSING`,
   * `KEY_TOO_LONG`.
   */
  check(row: unknown, now: Micros): CheckedRow;
  /** Whether a row may block the push that brings it: an expectation of the source does. */
  readonly blocks: boolean;
}

export interface DoorOptions {
  /** The rows have passed the source's door before: what is expected of them was judged there. */
  readonly isSecond?: boolean;
}

interface DoorColumn {
  /** What it is called now. */
  readonly name: string;
  /** What it was called before; null where it was never renamed. */
  readonly formerNames: readonly string[] | null;
  readonly dropped: boolean;
  readonly type: ValueType;
  readonly nullable: boolean;
  /** A plain object inherits something of this name. */
  readonly inherited: boolean;
  readonly options: CheckOptions;
}

/** Compiles a source's checks. Throws `DEFINITION_INVALID` for definitions that contradict themselves. */
export function compileDoor(source: SourceDefinition, views: readonly DoorView[], options: DoorOptions = {}): Door {
  const columns = source.columns.map((column): DoorColumn => {
    const { type, nullable, dropped = false } = column;
    const [name, ...former] = namesOf(column) as [string, ...string[]];
    const finiteHint = `${nullable ? "send null, or " : ""}declare the source with allowNonFinite: true`;
    const options = { allowNonFinite: source.allowNonFinite, where: name, finiteHint };
    const formerNames = former.length === 0 ? null : former;
    return { name, formerNames, dropped, type, nullable, inherited: name in Object.prototype, options };
  });
  const names = new Set(source.columns.flatMap(namesOf));
  const derived = compileDerived(source);
  const maxFutureMicros = source.kind === "stream" ? source.maxFutureMicros : Number.POSITIVE_INFINITY;
  const eventTimeAt = source.columns.findIndex((column) => column.name === source.eventTime);
  const idAt = source.id === undefined ? -1 : source.columns.findIndex((column) => column.name === source.id);
  const constraints = compileConstraints(source, derived.columns);
  const expectations = options.isSecond === true ? [] : compileExpectations(source, derived.columns);
  const keys = distinctKeys(views, derived.columns);

  /** A copy has room for all columns and no more: one that grows has room for many. */
  const blank = derived.columns.map((): Value => null);

  function storedValues(row: Record<string, unknown>): Value[] {
    const stored = blank.slice();
    let given = 0;
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i]!;
      const { name } = column;
      let raw = column.inherited && !Object.hasOwn(row, name) ? undefined : row[name];
      if (raw !== undefined) given++;
      if (column.formerNames !== null) {
        for (const former of column.formerNames) {
          const sent = Object.hasOwn(row, former) ? row[former] : undefined;
          if (sent === undefined) continue;
          given++;
          if (raw === undefined) raw = sent;
          else if (!isSameSent(raw, sent)) throw sentTwice(name, former);
        }
      }
      const value = column.dropped ? null : checkValue(raw, column.type, column.options);
      if (value === null && !column.nullable) {
        throw new OnefoldError("NULL_NOT_ALLOWED", `column "${name}" is ${raw === undefined ? "missing" : "null"}`, {
          where: name,
          hint: "send a value, or declare the column nullable",
        });
      }
      stored[i] = value;
    }
    if (given < Object.keys(row).length) refuseUnknown(row, names);
    return stored;
  }

  return {
    blocks: expectations.some(({ severity }) => severity === "block"),
    check(raw: unknown, now: Micros): CheckedRow {
      if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
        throw new OnefoldError("REQUEST_INVALID", "a row must be an object of columns", {
          hint: `send {"${columns[0]?.name ?? "column"}": ...}`,
        });
      }
      const stored = storedValues(raw as Record<string, unknown>);
      const eventTime = stored[eventTimeAt] as Micros;
      if (eventTime > now + maxFutureMicros)
        throw tooFarAhead(columns[eventTimeAt]!.name, eventTime, now, maxFutureMicros);
      const id = idAt < 0 ? null : idText(stored[idAt]!);
      const row = derived.derive(stored);
      for (const constraint of constraints) {
        if (constraint.holds(row)) continue;
        throw new OnefoldError("CONSTRAINT_FAILED", `constraint "${constraint.name}" does not hold`, {
          where: constraint.name,
        });
      }
      for (const expectation of expectations) if (!expectation.isMetBy(row)) throw expectation.refusal(row);
      for (const key of keys) key(row);
      return { row, eventTime, id };
    },
  };
}

/** A sender that is being changed may send a column under both names: then both say the same. */
function isSameSent(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function sentTwice(name: string, former: string): OnefoldError {
  return new OnefoldError("TYPE_MISMATCH", `"${former}" is the former name of "${name}", and the two differ`, {
    where: name,
    hint: `send "${name}" alone`,
  });
}

function refuseUnknown(row: Record<string, unknown>, names: ReadonlySet<string>): void {
  for (const name of Object.keys(row)) {
    if (names.has(name)) continue;
    const candidates = nearestNames(name, names);
    const meant = candidates.length === 0 ? "" : `; did you mean "${candidates[0]}"?`;
    throw new OnefoldError("COLUMN_UNKNOWN", `the source has no column "${name.slice(0, 100)}"${meant}`, {
      where: name.slice(0, 100),
      candidates,
    });
  }
}

function tooFarAhead(column: string, eventTime: Micros, now: Micros, maxFutureMicros: number): OnefoldError {
  const allowed = formatDuration(maxFutureMicros);
  return new OnefoldError(
    "EVENT_TOO_FAR_AHEAD",
    `${column}: ${formatMicros(eventTime)} is more than ${allowed} ahead of ${formatMicros(now)}`,
    {
      where: column,
      hint: "check the sender's clock, or raise the source's maxFuture",
    },
  );
}

function compileConstraints(
  source: SourceDefinition,
  columns: readonly { readonly name: string; readonly type: ValueType }[],
): { name: string; holds(row: Row): boolean }[] {
  return source.constraints.map(({ name, predicate }) => {
    const place = `source ${source.name}, constraint ${name}`;
    const { evaluate } = compileExpression(predicate, columnResolver(columns, `source ${source.name}`, place), place);
    return { name, holds: (row) => evaluate(row) === true };
  });
}

/** One check for each distinct list of key columns among the views. */
function distinctKeys(
  views: readonly DoorView[],
  columns: readonly { readonly name: string; readonly type: ValueType }[],
): ((row: Row) => void)[] {
  const distinct = new Map<string, (row: Row) => void>();
  for (const { definition, entity } of views) {
    const places = definition.key.map((name) => columns.findIndex((column) => column.name === name));
    const types = entity.keys.map((key) => key.type);
    if (places.includes(-1)) {
      throw new OnefoldError("DEFINITION_INVALID", `view ${definition.name} has a key column its source does not have`);
    }
    distinct.set(JSON.stringify(definition.key), keyCheck(definition.key, places, types));
  }
  return [...distinct.values()];
}

function keyCheck(
  names: readonly string[],
  places: readonly number[],
  types: readonly ValueType[],
): (row: Row) => void {
  return (row) => {
    // An upper bound of the key's bytes; only a key that might be too long is written out.
    let bytesMax = 0;
    for (let i = 0; i < places.length; i++) {
      const part = row[places[i]!];
      if (part === null || part === undefined) {
        throw new OnefoldError("KEY_MISSING", `key column "${names[i]}" is null or missing`, { where: names[i]! });
      }
      bytesMax += typeof part === "string" || part instanceof Uint8Array ? part.length * 6 + 1 : 26;
    }
    if (bytesMax > KEY_BYTES_MAX)
      encodeEntityKey(
        places.map((place) => row[place]!),
        types,
      );
  };
}

function idText(value: Value): string | null {
  if (value === null || typeof value === "string") return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
}

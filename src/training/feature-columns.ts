/**
 * Where the join puts what it reads: one column a feature, one slot a label row.
 *
 * Numeric-like values (int64, float64, timestamp, bool as 0/1) go into typed arrays, eight bytes a row and
 * one for validity; others are kept as they are. Which rows have a window that began later than asked takes a byte a
 * row, in columns that have such rows.
 */
import { Status, STATUS_NAMES, type ReadBuffer, type StatusCode, type StatusName } from "../fold/view-fold.ts";
import type { Value, ValueType } from "../schema/value.ts";

/** What a column holds. */
export type ColumnCells = Pick<FeatureColumn, "numbers" | "objects" | "validity" | "statuses" | "laterWindows">;

export class FeatureColumn {
  readonly name: string;
  readonly type: ValueType;
  /** Slot of the feature in its view's read buffer. */
  readonly slot: number;
  readonly rowCount: number;
  /** One of the two, by type. */
  readonly numbers: Float64Array | null;
  readonly objects: Value[] | null;
  /** One byte a row, 0 where the value is null. */
  readonly validity: Uint8Array;
  /** Status codes of the fold, one byte a row. */
  readonly statuses: Uint8Array;
  #laterWindows: Uint8Array | null;

  /** Unanswered, or with these cells. */
  constructor(
    name: string,
    type: ValueType,
    slot: number,
    rowCount: number,
    cells: ColumnCells = emptyCells(type, rowCount),
  ) {
    this.name = name;
    this.type = type;
    this.slot = slot;
    this.rowCount = rowCount;
    this.numbers = cells.numbers;
    this.objects = cells.objects;
    this.validity = cells.validity;
    this.statuses = cells.statuses;
    this.#laterWindows = cells.laterWindows;
  }

  /** One byte a row, 1 where the window began later than asked; null where none did. */
  get laterWindows(): Uint8Array | null {
    return this.#laterWindows;
  }

  /** The same cells under another name; of a column that is not put into any more. */
  named(name: string): FeatureColumn {
    return new FeatureColumn(name, this.type, this.slot, this.rowCount, this);
  }

  /** From the column's slot. */
  set(row: number, read: Pick<ReadBuffer, "values" | "statuses">): void {
    this.put(row, read.values[this.slot]!, read.statuses[this.slot]!);
  }

  put(row: number, value: Value, status: StatusCode): void {
    this.statuses[row] = status;
    if (value === null) return;
    this.validity[row] = 1;
    if (this.numbers === null) this.objects![row] = value;
    else this.numbers[row] = Number(value);
  }

  /** The window that the row's value covers, or what it is computed from, began later than asked. */
  markLaterWindow(row: number): void {
    this.#laterWindows ??= new Uint8Array(this.rowCount);
    this.#laterWindows[row] = 1;
  }

  /** Puts the slots of another column of this type, in order, at these rows. */
  scatter(rows: Int32Array, { numbers, objects, validity, statuses, laterWindows }: ColumnCells): void {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      this.statuses[row] = statuses[i]!;
      this.validity[row] = validity[i]!;
      if (this.numbers !== null) this.numbers[row] = numbers![i]!;
      else this.objects![row] = objects![i]!;
    }
    if (laterWindows === null) return;
    for (let i = 0; i < rows.length; i++) if (laterWindows[i] === 1) this.markLaterWindow(rows[i]!);
  }

  value(row: number): Value {
    if (this.validity[row] === 0) return null;
    if (this.numbers === null) return this.objects![row]!;
    const number = this.numbers[row]!;
    return this.type.name === "bool" ? number !== 0 : number;
  }

  status(row: number): StatusCode {
    return this.statuses[row] as StatusCode;
  }

  hasLaterWindow(row: number): boolean {
    return this.#laterWindows?.[row] === 1;
  }

  countLaterWindows(): number {
    return this.#laterWindows?.reduce((sum, flag) => sum + flag, 0) ?? 0;
  }

  /** Rows by status. */
  countStatuses(): Record<StatusName, number> {
    const counts = new Float64Array(STATUS_NAMES.length);
    for (const status of this.statuses) counts[status]!++;
    return Object.fromEntries(STATUS_NAMES.map((name, code) => [name, counts[code]!])) as Record<StatusName, number>;
  }
}

function emptyCells(type: ValueType, rowCount: number): ColumnCells {
  const isNumeric = holdsNumbers(type);
  return {
    numbers: isNumeric ? new Float64Array(rowCount) : null,
    objects: isNumeric ? null : Array.from<Value>({ length: rowCount }).fill(null),
    validity: new Uint8Array(rowCount),
    statuses: new Uint8Array(rowCount).fill(Status.NOT_FOUND),
    laterWindows: null,
  };
}

/** Whether a column of this type is held as numbers. */
export function holdsNumbers(type: ValueType): boolean {
  switch (type.name) {
    case "float64":
    case "timestamp":
    case "bool":
      return true;
    case "int64":
      return type.wide !== true;
    default:
      return false;
  }
}

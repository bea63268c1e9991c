/**
 * Values that are not numbers (texts, bytes, arrays) in somebody's cells, one behind the other: those of object cells that
 * hold a value or null, and nothing that changes in place.
 *
 *     at:  4 x length + kind, cells of room | content | content | ..   | 4 x length + kind, cells of room | content | ..
 *
 * A cell of content is a whole number of six bytes, which a float64 holds exactly: a cell of any eight bytes might be a
 * NaN, whose bits the language lets anyone change. Text is kept by its UTF-16 units, in a byte each where they all fit one,
 * so that a lone surrogate stays what it is; other values as an encoded state has them.
 */
import type { Value } from "../schema/value.ts";
import { ObjectReader, ObjectWriter } from "./object-codec.ts";

const Kind = { NULL: 0, TEXT_OF_BYTES: 1, TEXT_OF_UNITS: 2, ENCODED: 3 } as const;

const HEAD_CELLS = 2;
const ROOM_AT = 1;
const CELL_BYTES = 6;
const TWO_32: number = 2 ** 32;

/** How text is kept: so many of its units a cell, of so many bits each. */
interface TextForm {
  readonly perCell: number;
  readonly unitBits: number;
  readonly encoding: "latin1" | "utf16le";
  /** A cell of the text's units from the i-th on; -1 where they do not fit. */
  readonly cellOf: (text: string, i: number) => number;
  /** Texts that were read last, by a hash of their cells: a column of few values, as most are, is read without allocating. */
  readonly recent: string[];
}

const RECENT_COUNT = 1024;
const OF_BYTES: TextForm = { perCell: 6, unitBits: 8, encoding: "latin1", cellOf: cellOfBytes, recent: recentTexts() };
const OF_UNITS: TextForm = {
  perCell: 3,
  unitBits: 16,
  encoding: "utf16le",
  cellOf: cellOfUnits,
  recent: recentTexts(),
};
/** A text in more cells is made anew each time: there are few of the same, and what is kept stays little. */
const RECENT_CELLS_MAX = 8;

/** A value that is being written. */
const WRITER = new ObjectWriter();
/** For bytes that are being read, where they are few. */
const SCRATCH: Buffer = Buffer.alloc(256);

/** Stands in an object cell of a state that lies in cells for the value that lies there with it. */
export class PlacedValue {
  cells: Float64Array = new Float64Array(HEAD_CELLS);
  at: number = 0;

  get value(): Value {
    const code = this.cells[this.at]!;
    const length = code >>> 2;
    const kind = code & 3;
    if (kind === Kind.NULL) return null;
    const from = this.at + HEAD_CELLS;
    if (kind !== Kind.ENCODED)
      return readText(this.cells, from, length, kind === Kind.TEXT_OF_BYTES ? OF_BYTES : OF_UNITS);
    return new ObjectReader(readBytes(this.cells, from, length).subarray(0, length)).take(1)[0] as Value;
  }

  get roomCells(): number {
    return this.cells[this.at + ROOM_AT]!;
  }
}

/** Of an object cell: the value, wherever it is. */
export function valueOf(object: unknown): unknown {
  return object instanceof PlacedValue ? object.value : object;
}

/** The least that object cells take in cells. */
export function valueCellsMin(objects: readonly unknown[]): number {
  let cells = 0;
  for (let i = 0; i < objects.length; i++) cells += HEAD_CELLS + contentCellsOf(codeOf(objects[i]));
  return cells;
}

/** Room that they are to have beyond that, so that longer values need not be put elsewhere each time. */
export function valueRoomCells(objects: readonly unknown[]): number {
  let cells = 0;
  for (let i = 0; i < objects.length; i++) cells += roomFor(contentCellsOf(codeOf(objects[i])));
  return cells;
}

/** Copies what object cells hold into cells from `at` on, with room or without. Returns the place behind. */
export function putValues(objects: readonly unknown[], cells: Float64Array, at: number, hasRoom: boolean): number {
  let to = at;
  for (let i = 0; i < objects.length; i++) {
    const object = objects[i];
    const content = contentCellsOf(codeOf(object));
    const room = content + (hasRoom ? roomFor(content) : 0);
    cells[to + ROOM_AT] = room;
    if (object instanceof PlacedValue) copyValue(object, content, cells, to);
    else writeValue(object as Value, cells, to, room);
    to += HEAD_CELLS + room;
  }
  return to;
}

/** Makes object cells stand for what was put there. `placed` has one for each of them. */
export function openValues(objects: unknown[], placed: readonly PlacedValue[], cells: Float64Array, at: number): void {
  let from = at;
  for (let i = 0; i < placed.length; i++) {
    const value = placed[i]!;
    value.cells = cells;
    value.at = from;
    if (objects[i] !== value) objects[i] = value;
    from += HEAD_CELLS + cells[from + ROOM_AT]!;
  }
}

/**
 * Writes what has come into object cells since they were opened to where they stand for. False where one has no room:
 * that one, and those behind it, are in the object cells alone, and what the one stood for is gone.
 */
export function settleValues(objects: unknown[], placed: readonly PlacedValue[]): boolean {
  for (let i = 0; i < placed.length; i++) {
    const value = placed[i]!;
    const object = objects[i];
    if (object === value) continue;
    if (!writeValue(object as Value, value.cells, value.at, value.roomCells)) return false;
    objects[i] = value;
  }
  return true;
}

function roomFor(contentCells: number): number {
  return contentCells === 0 ? 1 : contentCells >> 2;
}

function contentCellsOf(code: number): number {
  const perCell = (code & 3) === Kind.TEXT_OF_UNITS ? OF_UNITS.perCell : CELL_BYTES;
  return Math.ceil((code >>> 2) / perCell);
}

/** What a value is and how long. Of one that is encoded it leaves in `WRITER` what is to be written. */
function codeOf(object: unknown): number {
  if (typeof object === "string") {
    return 4 * object.length + (isOfBytes(object) ? Kind.TEXT_OF_BYTES : Kind.TEXT_OF_UNITS);
  }
  if (object === null) return Kind.NULL;
  if (object instanceof PlacedValue) return object.cells[object.at]!;
  WRITER.clear();
  WRITER.put(object);
  return 4 * WRITER.length + Kind.ENCODED;
}

function isOfBytes(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}

function copyValue({ cells: from, at }: PlacedValue, content: number, cells: Float64Array, to: number): void {
  cells[to] = from[at]!;
  for (let i = HEAD_CELLS; i < HEAD_CELLS + content; i++) cells[to + i] = from[at + i]!;
}

/** False where there is no room: what was there is then no value any more. */
function writeValue(value: Value, cells: Float64Array, at: number, room: number): boolean {
  if (typeof value === "string") {
    if (writeText(value, cells, at + HEAD_CELLS, room, OF_BYTES)) cells[at] = 4 * value.length + Kind.TEXT_OF_BYTES;
    else if (writeText(value, cells, at + HEAD_CELLS, room, OF_UNITS)) {
      cells[at] = 4 * value.length + Kind.TEXT_OF_UNITS;
    } else return false;
    return true;
  }
  const code = codeOf(value);
  if (contentCellsOf(code) > room) return false;
  cells[at] = code;
  if (code !== Kind.NULL) writeBytes(WRITER.buffer, WRITER.length, cells, at + HEAD_CELLS);
  return true;
}

/** False where it has another form, or there is no room. */
function writeText(
  text: string,
  cells: Float64Array,
  at: number,
  room: number,
  { perCell, cellOf }: TextForm,
): boolean {
  if (text.length > room * perCell) return false;
  for (let i = 0, to = at; i < text.length; i += perCell, to++) {
    const cell = cellOf(text, i);
    if (cell < 0) return false;
    cells[to] = cell;
  }
  return true;
}

function cellOfBytes(text: string, i: number): number {
  const count = text.length - i;
  const a = text.charCodeAt(i);
  const b = count > 1 ? text.charCodeAt(i + 1) : 0;
  const c = count > 2 ? text.charCodeAt(i + 2) : 0;
  const d = count > 3 ? text.charCodeAt(i + 3) : 0;
  const e = count > 4 ? text.charCodeAt(i + 4) : 0;
  const f = count > 5 ? text.charCodeAt(i + 5) : 0;
  if ((a | b | c | d | e | f) > 0xff) return -1;
  return (e | (f << 8)) * TWO_32 + ((a | (b << 8) | (c << 16) | (d << 24)) >>> 0);
}

function cellOfUnits(text: string, i: number): number {
  const count = text.length - i;
  const a = text.charCodeAt(i);
  const b = count > 1 ? text.charCodeAt(i + 1) : 0;
  const c = count > 2 ? text.charCodeAt(i + 2) : 0;
  return c * TWO_32 + ((a | (b << 16)) >>> 0);
}

function writeBytes(bytes: Uint8Array, length: number, cells: Float64Array, at: number): void {
  const byte = (i: number): number => (i < length ? bytes[i]! : 0);
  for (let i = 0, to = at; i < length; i += CELL_BYTES, to++) {
    const low = byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24);
    cells[to] = (byte(i + 4) | (byte(i + 5) << 8)) * TWO_32 + (low >>> 0);
  }
}

/** At the beginning of what it returns, good until others are read. */
function readBytes(cells: Float64Array, from: number, length: number): Buffer {
  const room = length + CELL_BYTES;
  const bytes = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(room);
  for (let i = 0, at = from; i < length; i += CELL_BYTES, at++) {
    const low = cells[at]! | 0;
    const high = (cells[at]! / TWO_32) | 0;
    bytes[i] = low;
    bytes[i + 1] = low >>> 8;
    bytes[i + 2] = low >>> 16;
    bytes[i + 3] = low >>> 24;
    bytes[i + 4] = high;
    bytes[i + 5] = high >>> 8;
  }
  return bytes;
}

function readText(cells: Float64Array, from: number, length: number, form: TextForm): string {
  const { recent, perCell } = form;
  const count = Math.ceil(length / perCell);
  if (count > RECENT_CELLS_MAX) return decodeText(cells, from, length, form);
  const place = recentPlace(cells, from, count);
  const text = recent[place]!;
  if (text.length === length && isText(text, cells, from, form)) return text;
  return (recent[place] = decodeText(cells, from, length, form));
}

function isText(text: string, cells: Float64Array, at: number, { perCell, cellOf }: TextForm): boolean {
  for (let i = 0, from = at; i < text.length; i += perCell, from++) {
    if (cellOf(text, i) !== cells[from]) return false;
  }
  return true;
}

function decodeText(cells: Float64Array, from: number, length: number, { unitBits, encoding }: TextForm): string {
  const byteLength = (length * unitBits) / 8;
  return readBytes(cells, from, byteLength).toString(encoding, 0, byteLength);
}

function recentPlace(cells: Float64Array, from: number, count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) {
    const cell = cells[from + i]!;
    hash = Math.imul(hash ^ (cell | 0) ^ Math.imul((cell / TWO_32) | 0, 0x85ebca6b), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return (hash ^ (hash >>> 10)) & (RECENT_COUNT - 1);
}

function recentTexts(): string[] {
  return Array.from<string>({ length: RECENT_COUNT }).fill("");
}

/**
 * From what a request says of an entity to its canonical key.
 *
 * One entity's key is a scalar, an array in key order, or an object by key column. A service may read
 * several entities: each is looked up by its own name first, then by the names of its key columns, so
 * `{"route": ["JFK", "LAX"]}` and `{"origin": "JFK", "destination": "LAX"}` name the same route.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { EntityDefinition } from "../define/definition.ts";
import { checkValue } from "../schema/check-value.ts";
import { encodeEntityKey, type EntityKey, KEY_BYTES_MAX, keyTooLong, splitEntityKey } from "../schema/entity-key.ts";
import type { Value, ValueType } from "../schema/value.ts";

/** Of the names that somebody sent so many may be what was meant by one that is missing. */
const NAMES_LOOKED_AT_MAX = 1000;

/** Throws `REQUEST_INVALID`, `KEY_MISSING`, `KEY_TOO_LONG` and what `checkValue` throws. */
export function entityKey(entity: EntityDefinition, input: unknown): EntityKey {
  if (Array.isArray(input)) return keyFromParts(entity, input);
  if (isObject(input)) return keyFromColumns(entity, input);
  if (entity.keys.length > 1) {
    throw new OnefoldError("REQUEST_INVALID", `the key of ${entity.name} has ${entity.keys.length} columns`, {
      hint: `give an array or an object of ${columnNames(entity)}`,
    });
  }
  return keyFromPart(entity, input);
}

/**
 * The key from its text in a URL, which is its canonical text: several parts are joined by `|`, with `|`
 * and `\` inside a part escaped by `\`. A timestamp may also be ISO 8601.
 */
export function entityKeyFromText(entity: EntityDefinition, text: string): EntityKey {
  // Before it is taken apart: a text is at most twice its key, where characters are escaped that need not be.
  if (text.length > 2 * KEY_BYTES_MAX) throw keyTooLong(text.length);
  const { keys } = entity;
  if (keys.length === 1) return keyFromPart(entity, partFromText(text, keys[0]!.type));
  const parts: unknown[] = splitEntityKey(text, keys.length);
  for (let i = 0; i < parts.length; i++) parts[i] = partFromText(parts[i] as string, keys[i]?.type);
  return keyFromParts(entity, parts);
}

/** Keys for all entities of a service, in their order. Throws `KEY_MISSING` naming the first one that is absent. */
export function serviceKeys(entities: readonly EntityDefinition[], input: unknown): EntityKey[] {
  if (!isObject(input)) {
    throw new OnefoldError("REQUEST_INVALID", "entities is not an object", {
      hint: `give the keys by name: ${entities.map((entity) => entity.name).join(", ")}`,
    });
  }
  return entities.map((entity) => {
    if (Object.hasOwn(input, entity.name) && !standsForColumn(entity, input[entity.name])) {
      return entityKey(entity, input[entity.name]);
    }
    const { keys } = entity;
    if (keys.length === 1 && Object.hasOwn(input, keys[0]!.name)) return keyFromPart(entity, input[keys[0]!.name]);
    if (keys.every((key) => Object.hasOwn(input, key.name))) {
      return keyFromParts(
        entity,
        keys.map((key) => input[key.name]),
      );
    }
    const present = keys.filter((key) => Object.hasOwn(input, key.name));
    const absent = keys.find((key) => !Object.hasOwn(input, key.name))!;
    throw new OnefoldError("KEY_MISSING", `entities has no key for ${entity.name}`, {
      where: present.length === 0 ? entity.name : `${entity.name}.${absent.name}`,
      hint: `give "${entity.name}" itself, or ${columnNames(entity)}`,
      candidates: nearestNames(
        present.length === 0 ? entity.name : absent.name,
        Object.keys(input).slice(0, NAMES_LOOKED_AT_MAX),
      ),
    });
  });
}

/** Keys by the row of columns of equal length: what `serviceKeys` gives, and throws, of each row as an object. */
export function columnKeys(
  entities: readonly EntityDefinition[],
  columns: Readonly<Record<string, readonly unknown[]>>,
): (row: number) => EntityKey[] {
  const readers: ((row: number) => EntityKey)[] = [];
  for (const entity of entities) {
    const reader = columnKey(entity, columns);
    if (reader === null) return (row) => serviceKeys(entities, rowOf(columns, row));
    readers.push(reader);
  }
  const [only] = readers;
  if (only !== undefined && readers.length === 1) return (row) => [only(row)];
  return (row) => readers.map((reader) => reader(row));
}

/** Null where it has to be looked for in each row, or is missing. */
function columnKey(
  entity: EntityDefinition,
  columns: Readonly<Record<string, readonly unknown[]>>,
): ((row: number) => EntityKey) | null {
  const { name, keys } = entity;
  if (Object.hasOwn(columns, name)) {
    const values = columns[name]!;
    return keys.length === 1 ? (row) => entityKey(entity, values[row]) : null;
  }
  if (!keys.every((key) => Object.hasOwn(columns, key.name))) return null;
  const parts = keys.map((key) => columns[key.name]!);
  return (row) => {
    const given: unknown[] = [];
    for (let i = 0; i < parts.length; i++) given.push(parts[i]![row]);
    return keyFromParts(entity, given);
  };
}

/**
 * Checks what `columnKeys` leaves unread of key columns: those of entities that are given by their own names. Throws, by the
 * row, what reading them would throw. Null where there are none.
 */
export function unreadKeyChecks(
  entities: readonly EntityDefinition[],
  columns: Readonly<Record<string, readonly unknown[]>>,
): ((row: number) => void) | null {
  const checks = entities
    .filter(({ name }) => Object.hasOwn(columns, name))
    .flatMap((entity) =>
      entity.keys.flatMap(({ name }, part) =>
        name === entity.name || !Object.hasOwn(columns, name) ? [] : [{ entity, part, values: columns[name]! }],
      ),
    );
  if (checks.length === 0) return null;
  return (row) => {
    for (const { entity, part, values } of checks) checkedPart(checksOf(entity), part, values[row]);
  };
}

/** A row of columns as an object. */
export function rowOf(
  columns: Readonly<Record<string, readonly unknown[]>>,
  row: number,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[row]]));
}

/** A composite entity can share its name with one of its key columns; a scalar then means the column. */
function standsForColumn(entity: EntityDefinition, value: unknown): boolean {
  const scalar = typeof value !== "object" || value === null;
  return scalar && entity.keys.length > 1 && entity.keys.some((key) => key.name === entity.name);
}

function keyFromColumns(entity: EntityDefinition, input: Readonly<Record<string, unknown>>): EntityKey {
  for (const name of Object.keys(input)) {
    if (entity.keys.some((key) => key.name === name)) continue;
    throw new OnefoldError("REQUEST_INVALID", `${entity.name} has no key column "${name}"`, {
      hint: `its key is ${columnNames(entity)}`,
      candidates: nearestNames(
        name,
        entity.keys.map((key) => key.name),
      ),
    });
  }
  return keyFromParts(
    entity,
    entity.keys.map((key) => input[key.name]),
  );
}

function keyFromParts(entity: EntityDefinition, parts: readonly unknown[]): EntityKey {
  if (parts.length !== entity.keys.length) {
    throw new OnefoldError("REQUEST_INVALID", `a key of ${parts.length} parts for ${entity.name}`, {
      hint: `its key is ${columnNames(entity)}, ${entity.keys.length} in all`,
    });
  }
  const checks = checksOf(entity);
  // As long as it is to be: one that grows takes room for more than most keys have.
  const values = parts.map((part, i) => checkedPart(checks, i, part));
  return encodeEntityKey(values, checks.types);
}

/** The same of an entity with one key column. */
function keyFromPart(entity: EntityDefinition, part: unknown): EntityKey {
  const checks = checksOf(entity);
  return encodeEntityKey([checkedPart(checks, 0, part)], checks.types);
}

function checkedPart({ types, options }: KeyChecks, part: number, given: unknown): Value {
  const value = checkValue(given, types[part]!, options[part]!);
  const { where } = options[part]!;
  if (value === null) throw new OnefoldError("KEY_MISSING", `${where} is null or missing`, { where });
  return value;
}

interface KeyChecks {
  readonly types: readonly ValueType[];
  readonly options: readonly { readonly allowNonFinite: false; readonly where: string }[];
}

/** How the parts of an entity's key are checked: the same for every key. */
const keyChecks = new WeakMap<EntityDefinition, KeyChecks>();

function checksOf(entity: EntityDefinition): KeyChecks {
  let checks = keyChecks.get(entity);
  if (checks === undefined) {
    const types = entity.keys.map(({ type }) => type);
    const options = entity.keys.map(({ name }) => ({
      allowNonFinite: false as const,
      where: `${entity.name}.${name}`,
    }));
    keyChecks.set(entity, (checks = { types, options }));
  }
  return checks;
}

/** Undoes what the canonical text did to a value; what it cannot read is left for `checkValue` to refuse. */
function partFromText(text: string, type: ValueType | undefined): unknown {
  switch (type?.name) {
    case "bool":
      return text === "true" || (text === "false" ? false : text);
    case "float64":
      return text.trim() === "" ? text : Number(text);
    case "timestamp":
      return /^-?\d+$/.test(text) ? { micros: Number(text) } : text;
    case "bytes":
      return /^(?:[0-9a-f]{2})*$/i.test(text) ? new Uint8Array(Buffer.from(text, "hex")) : text;
    default:
      return text;
  }
}

function columnNames(entity: EntityDefinition): string {
  return entity.keys.map((key) => `"${key.name}"`).join(", ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/**
 * Definitions leave the DSL frozen all the way down, and without members that are undefined, so that
 * equal definitions are equal as data.
 */

type Defined<T> = {
  -readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & { -readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** A deeply frozen copy of plain objects and arrays; functions, bytes and other objects are kept as they are. */
export function frozen<const T extends object>(data: T): Defined<T> {
  return freeze(data) as Defined<T>;
}

function freeze(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(freeze));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.freeze(Object.fromEntries(entries.map(([name, member]) => [name, freeze(member)])));
}

/**
 * A name as it is asked for: `delay`, `delay@2`, `delay@dev`, `delay@prod`. What stands behind the `@` is a version, or the
 * name of an alias.
 */

export interface NamedVersion {
  readonly name: string;
  /** Null where nothing is said; text is the name of an alias. */
  readonly version: number | "dev" | { readonly alias: string } | null;
}

/** What has several `@`, or nothing behind it, is all name: nothing is called so. */
export function parseNamedVersion(text: string): NamedVersion {
  const match = /^([^@]+)@([^@]+)$/.exec(text);
  if (match === null) return { name: text, version: null };
  const [, name, wanted] = match as unknown as [string, string, string];
  if (wanted === "dev") return { name, version: "dev" };
  if (/^[1-9]\d{0,8}$/.test(wanted)) return { name, version: Number(wanted) };
  return { name, version: { alias: wanted } };
}

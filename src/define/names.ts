/**
 * What names may look like. Names become folder names, columns of tables and parts of URLs, so they are
 * plain; columns of a source are named by whoever sends them, so those may be nearly anything.
 */

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/** Problems of the name of a definition, a feature or a key column; empty when it is good. */
export function nameProblems(what: string, name: unknown): string[] {
  if (typeof name === "string" && NAME.test(name)) return [];
  return [`${what} ${JSON.stringify(name)} is not a name: a letter, then up to 63 letters, digits or underscores`];
}

/** Problems of the name of a source's column. */
export function columnNameProblems(name: string): string[] {
  // eslint-disable-next-line no-control-regex
  if (name.length > 0 && name.length <= 128 && !/[\u0000-\u001f\u007f]/.test(name) && !name.startsWith("_")) return [];
  return [
    `column ${JSON.stringify(name)}: a column's name has 1 to 128 characters, does not begin with "_" and holds no control characters`,
  ];
}

/** Problems of a version: 1, 2, ... or "dev". */
export function versionProblems(version: unknown): string[] {
  if (version === "dev" || (Number.isSafeInteger(version) && (version as number) >= 1)) return [];
  return [`version ${JSON.stringify(version)} is neither a whole number from 1 nor "dev"`];
}

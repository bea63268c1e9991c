/** Plain text tables: columns as wide as their widest cell, numbers to the right. */

export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] ?? "").length)));
  const numeric = header.map((_name, i) => rows.length > 0 && rows.every((row) => /^-?[\d.,]*$/.test(row[i] ?? "")));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (numeric[i] === true ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** A served value for people: text in quotes, null as a dash. */
export function formatCell(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}

export function formatShare(count: number, total: number): string {
  return `${(total === 0 ? 0 : (100 * count) / total).toFixed(1)}%`;
}

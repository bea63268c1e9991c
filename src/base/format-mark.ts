/** The mark that says in which format stored data is, and which version wrote it: JSON, the same in every store. */
import { packageVersion } from "./version.ts";

export interface FormatMark {
  readonly format: number;
  /** The version that wrote the mark: for people. */
  readonly onefold: string;
}

export function formatMarkText(format: number): string {
  const mark: FormatMark = { format, onefold: packageVersion() };
  return JSON.stringify(mark);
}

/** Throws where it is no mark. */
export function parseFormatMark(text: string): FormatMark {
  const mark = JSON.parse(text) as Partial<FormatMark> | null;
  if (!Number.isSafeInteger(mark?.format)) throw new TypeError("it has no format");
  return { format: mark!.format!, onefold: String(mark!.onefold ?? "of another version") };
}

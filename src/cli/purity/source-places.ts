/** Where in the user's files a place in a bundle comes from, by the source map that the bundle carries. */
import { SourceMap, type SourceMapPayload } from "node:module";
import { resolve } from "node:path";

export interface SourcePlace {
  /** Absolute. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

const INLINE_MAP = /\n\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/;

/** A function from lines (from 1) and columns (from 0) of the bundle to places; null for code no file stands behind. */
export function sourcePlaces(code: string): (line: number, column: number) => SourcePlace | null {
  const match = INLINE_MAP.exec(code);
  if (match === null) return () => null;
  const payload = JSON.parse(Buffer.from(match[1]!, "base64").toString("utf8")) as SourceMapPayload;
  const map = new SourceMap(payload);
  return (line, column) => {
    const entry = map.findEntry(line - 1, column);
    if (!("originalSource" in entry) || entry.originalSource === undefined) return null;
    const { originalSource, originalLine, originalColumn } = entry;
    return {
      file: resolve(payload.sourceRoot ?? "", originalSource),
      line: originalLine + 1,
      column: originalColumn + 1,
    };
  };
}

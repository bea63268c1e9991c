/**
 * A user's query as a part of another: without the `;` at its end, and with an end to the comment that may stand there. What is a
 * comment, a string or a name is told as PostgreSQL and DuckDB both tell it.
 */
import { OnefoldError } from "../../base/errors.ts";

const BLANK = /(?:\s+|--[^\n\r]*)+/y;
/**
 * Strings and names: what has no end goes to the end of the text, where the engine says so. A word, so that none begins in it.
 * A string goes on behind a line end, and so do the escapes of one that has them.
 */
const ESCAPED = /(?:[^'\\]|\\[^]|'')*/u.source;
const ON_THE_NEXT_LINE = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*/u.source;
const WORD = new RegExp(
  [
    `[eE]'${ESCAPED}(?:'${ON_THE_NEXT_LINE}'${ESCAPED})*(?:'|$)`,
    /'(?:[^']|'')*(?:'|$)/u.source,
    /"(?:[^"]|"")*(?:"|$)/u.source,
    /\$([\p{L}_][\p{L}\p{N}_]*|)\$[^]*?(?:\$\1\$|$)/u.source,
    /[\p{L}\p{N}_][\p{L}\p{N}_$]*|[^]/u.source,
  ].join("|"),
  "uy",
);
const COMMENT_EDGE = /\/\*|\*\//g;

/** Throws `BATCH_SOURCE_FAILED` where another statement stands behind it. */
export function subquery(query: string): string {
  let end: number | null = null;
  for (let at = behindBlanks(query, 0); at < query.length; at = behindBlanks(query, at)) {
    if (query[at] === ";") {
      end ??= at;
      at += 1;
      continue;
    }
    if (end !== null) throw severalStatements(query, at);
    WORD.lastIndex = at;
    at += WORD.exec(query)![0].length;
  }
  return `(${query.slice(0, end ?? query.length)}\n)`;
}

function behindBlanks(text: string, from: number): number {
  for (let at = from; ;) {
    BLANK.lastIndex = at;
    at += BLANK.exec(text)?.[0].length ?? 0;
    if (!text.startsWith("/*", at)) return at;
    at = behindComment(text, at);
  }
}

/** Comments of this kind stand in each other. */
function behindComment(text: string, from: number): number {
  COMMENT_EDGE.lastIndex = from;
  for (let depth = 0; ;) {
    const edge = COMMENT_EDGE.exec(text);
    if (edge === null) return text.length;
    depth += edge[0] === "/*" ? 1 : -1;
    if (depth === 0) return COMMENT_EDGE.lastIndex;
  }
}

function severalStatements(query: string, at: number): OnefoldError {
  return new OnefoldError("BATCH_SOURCE_FAILED", "the query of a batch source has more than one statement", {
    where: query.slice(at, at + 200),
    hint: "one statement gives its rows: leave out what stands behind its `;`, or make it a part of the query (WITH)",
  });
}

/** A source's poll as HTTP answers carry it: as it was written, with names of environment variables and no secrets. */
import { formatDuration } from "../base/micros.ts";
import type { PollCursor, PollDefinition, PollPages, PollPath } from "../define/poll-definition.ts";

type Answer = Record<string, unknown>;

export function answerPoll(poll: PollDefinition): Answer {
  return {
    url: poll.url,
    every: formatDuration(poll.everyMicros),
    headers: poll.headers,
    query: poll.query,
    rows: pathText(poll.rows),
    columns: poll.columns.map((column) =>
      "parts" in column
        ? { name: column.name, parts: column.parts.map(pathText) }
        : {
            name: column.name,
            path: pathText(column.path),
            ...(column.unit === undefined ? {} : { unit: column.unit }),
          },
    ),
    pages: poll.pages === undefined ? null : answerPages(poll.pages),
    cursor: poll.cursor === undefined ? null : answerCursor(poll.cursor),
    timeout: formatDuration(poll.timeoutMicros),
    body_bytes_max: poll.bodyBytesMax,
    requests_max: poll.requestsMax,
  };
}

function answerPages(pages: PollPages): Answer | string {
  switch (pages.kind) {
    case "link":
      return "link";
    case "url":
      return { url: pathText(pages.path) };
    case "token":
      return { token: pathText(pages.path), param: pages.param };
    case "number":
      return { number: pages.param, from: pages.from };
  }
}

function answerCursor(cursor: PollCursor): Answer {
  const { param, start = null, more } = cursor;
  return {
    param,
    ...(cursor.kind === "answer" ? { answer: pathText(cursor.path) } : { column: cursor.column }),
    ...(cursor.kind === "column" && cursor.lookbackMicros !== undefined
      ? { lookback: formatDuration(cursor.lookbackMicros) }
      : {}),
    start,
    more: more === undefined ? null : "rows" in more ? more.rows : pathText(more.path),
  };
}

/** As it is written: names with a dot in them as a list. */
function pathText(path: PollPath): string | PollPath {
  return path.some((name) => name.includes(".")) ? path : path.join(".");
}

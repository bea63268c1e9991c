/** `http({...})` and what a polled source is refused for, with the line where it is written. */
import { describe, expect, it } from "vitest";
import { isOnefoldError, type OnefoldError } from "../../src/base/errors.ts";
import { t } from "../../src/define/column-type.ts";
import type { StreamDefinition } from "../../src/define/definition.ts";
import { http, type HttpPollOptions } from "../../src/define/http-poll.ts";
import { stream } from "../../src/define/source.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { problemsOf } from "../../src/registry/validate.ts";

const columns = {
  quote_id: t.string(),
  symbol: t.string(),
  price: t.float64(),
  tags: t.array(t.string()).nullable(),
  quoted_at: t.timestamp(),
};
const URL = "https://api.example.com/v1/quotes";

function quotes(options: Partial<HttpPollOptions> = {}): StreamDefinition {
  return stream("quotes", {
    columns,
    eventTime: "quoted_at",
    id: "quote_id",
    poll: http({ url: URL, every: "5s", ...options }),
  });
}

function refusal(define: () => unknown): OnefoldError {
  try {
    define();
  } catch (error) {
    if (isOnefoldError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("http({...})", () => {
  it("is frozen plain data, with defaults", () => {
    const { poll } = quotes();
    expect(poll).toEqual({
      kind: "http",
      url: URL,
      query: [],
      headers: [],
      everyMicros: 5_000_000,
      timeoutMicros: 10_000_000,
      bodyBytesMax: 16 * 1024 * 1024,
      requestsMax: 100,
      rows: [],
      columns: [],
    });
    expect(Object.isFrozen(poll) && Object.isFrozen(poll!.headers)).toBe(true);
    expect(structuredClone(poll)).toEqual(poll);
  });

  it("keeps all that is said", () => {
    const { poll } = quotes({
      headers: { Authorization: { env: "TOKEN", prefix: "Bearer " }, owner: "us" },
      query: { limit: "500" },
      rows: "data.items",
      columns: {
        quote_id: { parts: ["id", ["dotted.name"]] },
        quoted_at: { path: "ts", unit: "ms" },
        price: "last.price",
      },
      pages: { token: "next", param: "page" },
      cursor: { column: "quoted_at", param: "since", start: "0", lookback: "1m", more: 500 },
    });
    expect(poll).toMatchObject({
      headers: [
        { name: "Authorization", env: "TOKEN", prefix: "Bearer " },
        { name: "owner", value: "us" },
      ],
      query: [{ name: "limit", value: "500" }],
      rows: ["data", "items"],
      columns: [
        { name: "quote_id", parts: [["id"], ["dotted.name"]] },
        { name: "quoted_at", path: ["ts"], unit: "ms" },
        { name: "price", path: ["last", "price"] },
      ],
      pages: { kind: "token", path: ["next"], param: "page" },
      cursor: {
        kind: "column",
        column: "quoted_at",
        param: "since",
        start: "0",
        lookbackMicros: 60_000_000,
        more: { rows: 500 },
      },
    });
  });

  it.each<[string, unknown, string]>([
    ["a misspelt option", { url: URL, evry: "5s" }, 'there is no option "evry": did you mean every?'],
    ["no url", { every: "5s" }, "url is missing"],
    ["no interval", { url: URL }, "every is missing"],
    ["a wrong interval", { url: URL, every: "often" }, 'every: "often" is not a duration'],
    ["a wrong path", { url: URL, every: "5s", rows: "a..b" }, 'rows: "a..b" is no path'],
    ["headers that are none", { url: URL, every: "5s", headers: [] }, "headers is not an object"],
    ["a header of neither kind", { url: URL, every: "5s", headers: { "X-A": 5 } }, "headers.X-A is neither"],
    ["pages of no kind", { url: URL, every: "5s", pages: { next: "x" } }, "pages is none of"],
    [
      "a cursor of both kinds",
      { url: URL, every: "5s", cursor: { param: "p", answer: "a", column: "b" } },
      "cursor has either",
    ],
  ])("refuses %s, at its line", (_what, options, says) => {
    const error = refusal(() => http(options as HttpPollOptions));
    expect(error.message).toContain(says);
    expect(error.where).toMatch(/polled-sources\.test\.ts:\d+$/);
  });
});

describe("a polled source", () => {
  const ofOptions = (options: object): (() => unknown) => {
    return () =>
      stream("quotes", {
        columns,
        eventTime: "quoted_at",
        id: "quote_id",
        poll: http({ url: URL, every: "5s" }),
        ...options,
      });
  };

  it("without an id is refused, at its line, and so is one that another language wrote", () => {
    const error = refusal(() =>
      stream("quotes", { columns, eventTime: "quoted_at", poll: http({ url: URL, every: "5s" }) }),
    );
    expect(error.code).toBe("DEFINITION_INVALID");
    expect(error.message).toContain("a polled source needs an id");
    expect(error.where).toMatch(/polled-sources\.test\.ts:\d+$/);
    const { id: _id, ...written } = quotes();
    expect(problemsOf([written], []).map(({ message }) => message)).toEqual([
      expect.stringContaining("a polled source needs an id"),
    ]);
  });

  it.each<[string, () => unknown, string]>([
    [
      "an id that may be null",
      ofOptions({ columns: { ...columns, quote_id: t.string().nullable() } }),
      "cannot be nullable",
    ],
    [
      "ids forgotten between polls",
      ofOptions({ dedupeWithin: "5s" }),
      "dedupeWithin (5s) must be longer than every (5s)",
    ],
    ["what http did not give", ofOptions({ poll: { url: URL } }), "poll is not what http({...}) gives"],
    ["no url", () => quotes({ url: "quotes" }), "not an absolute URL"],
    ["a file", () => quotes({ url: "file:///etc/passwd" }), "not with http: or https:"],
    ["a password in the url", () => quotes({ url: "https://me:secret@api.example.com/" }), "a user or password in it"],
    ["a key in the url", () => quotes({ url: `${URL}?api_key=k` }), "holds a secret"],
    [
      "a secret in a header",
      () => quotes({ headers: { Authorization: "Bearer k" } }),
      'Authorization: { env: "AUTHORIZATION" }',
    ],
    ["a secret in a parameter", () => quotes({ query: { access_token: "k" } }), "holds a secret"],
    ["a header of the connection", () => quotes({ headers: { Host: "x" } }), "set by the poll itself"],
    ["a header with a line break", () => quotes({ headers: { "X-A": "a\r\nb: c" } }), "characters that no header has"],
    ["a variable that is none", () => quotes({ query: { key: { env: "A-B" } } }), "no name of an environment variable"],
    ["polls without a pause", () => quotes({ every: "1ms" }), "every is from 100ms to 7d"],
    ["bodies without a limit", () => quotes({ bodyBytesMax: Infinity }), "bodyBytesMax is a whole number"],
    ["a column that is not there", () => quotes({ columns: { pric: "p" } }), 'no column "pric"; did you mean price?'],
    ["a unit of a number", () => quotes({ columns: { price: { path: "p", unit: "s" } } }), "a unit is for timestamps"],
    [
      "a parameter twice",
      () => quotes({ query: { since: "0" }, cursor: { answer: "a", param: "since" } }),
      '"since" is set twice',
    ],
    [
      "a cursor of no column",
      () => quotes({ cursor: { column: "id", param: "after" } }),
      'cursor.column: there is no column "id"',
    ],
    ["a cursor of a list", () => quotes({ cursor: { column: "tags", param: "after" } }), "there is no newest"],
    [
      "a look back at ids",
      () => quotes({ cursor: { column: "symbol", param: "after", lookback: "1m" } }),
      "lookback is for timestamps",
    ],
    [
      "a look back behind the ids",
      () => quotes({ cursor: { column: "quoted_at", param: "after", lookback: "7d" } }),
      "shorter than dedupeWithin",
    ],
  ])("is refused for %s", (_what, define, says) => {
    const error = refusal(define);
    expect(error.message).toContain(says);
    expect(error.message).not.toMatch(/Bearer k|me:secret|=k/);
    expect(error.where).toMatch(/polled-sources\.test\.ts:\d+$/);
  });

  it("has another fingerprint with another poll, whatever its names are", () => {
    const prints = [
      quotes(),
      quotes({ url: `${URL}2` }),
      quotes({ every: "6s" }),
      quotes({ query: { owner: "a" } }),
      quotes({ query: { owner: "b" } }),
      quotes({ headers: { description: "a" } }),
    ].map(fingerprint);
    expect(new Set(prints).size).toBe(prints.length);
    expect(fingerprint(quotes())).toBe(prints[0]);
  });
});

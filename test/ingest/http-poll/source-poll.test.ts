/** One poll against a real server that misbehaves: what is pushed, what is stored, what is said. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OnefoldError } from "../../../src/base/errors.ts";
import type { HttpPollOptions } from "../../../src/define/http-poll.ts";
import { PollRefusal } from "../../../src/ingest/http-poll/poll-answer.ts";
import type { SourcePoll } from "../../../src/ingest/http-poll/source-poll.ts";
import type { SourcePipeline } from "../../../src/ingest/source-pipeline.ts";
import { type Fault, quote, QuoteApi, type Style } from "./quote-api.ts";
import {
  folded,
  idsInLog,
  newWorld,
  openPoll,
  openQuotes,
  pollOnce,
  quotes,
  STYLES,
  type World,
} from "./polled-quotes.ts";

const root = mkdtempSync(join(tmpdir(), "onefold-poll-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let api: QuoteApi;
let world: World;
let pipeline: SourcePipeline;
beforeEach(async () => {
  api = await new QuoteApi().open();
  world = newWorld(mkdtempSync(join(root, "data-")));
});
afterEach(async () => {
  await api.close();
  await pipeline?.close();
});

type Environment = Readonly<Record<string, string>>;

async function polled(
  style: Style,
  options: Partial<HttpPollOptions> = {},
  environment: Environment = {},
): Promise<SourcePoll> {
  api.style = style;
  const source = quotes(api.url, { ...STYLES[style], ...options });
  pipeline = await openQuotes(world, source);
  return openPoll(world, source, (rows) => pipeline.push(rows), { environment });
}

/** The same poll as a restarted process has it. */
function again(options: Partial<HttpPollOptions> = {}): SourcePoll {
  const source = quotes(api.url, { ...STYLES[api.style], ...options });
  return openPoll(world, source, (rows) => pipeline.push(rows));
}

async function failure(poll: SourcePoll): Promise<OnefoldError> {
  return pollOnce(poll).then(
    () => Promise.reject(new Error("the poll did not fail")),
    (error: unknown) => error as OnefoldError,
  );
}

function offer(count: number): string[] {
  const from = api.rows.length;
  for (let n = from; n < from + count; n++) api.rows.push(quote(n));
  return api.rows.map((row) => row.quote_id);
}

const stateText = (): string => readFileSync(join(world.folder, "polls", "quotes.json"), "utf8");

describe("a polled API", () => {
  it.each(Object.keys(STYLES) as Style[])(
    "that gives its rows in the style %s is read whole, and then on from there",
    async (style) => {
      const poll = await polled(style);
      const offered = offer(23);
      await pollOnce(poll);
      expect((await idsInLog(pipeline)).toSorted()).toEqual(offered.toSorted());
      await pollOnce(poll);
      const more = offer(9);
      await pollOnce(poll);
      await pollOnce(again());
      expect((await idsInLog(pipeline)).toSorted()).toEqual(more.toSorted());
      expect(folded(pipeline, world)).toEqual({ S0: 11, S1: 11, S2: 10 });
      if (style !== "list" && style !== "numbered") expect(api.asked.at(-1)).toMatch(/since=|after=/);
    },
  );

  it("that has not changed costs a request and no body, after a restart too", async () => {
    const poll = await polled("list");
    offer(4);
    expect(await pollOnce(poll)).toEqual({ requests: 1, rows: 4, accepted: 4, outcome: "fetched" });
    const sent = api.bytesSent;
    expect(await pollOnce(poll)).toEqual({ requests: 1, rows: 0, accepted: 0, outcome: "unchanged" });
    expect(await pollOnce(again())).toMatchObject({ outcome: "unchanged" });
    expect(api.bytesSent).toBe(sent);
    offer(1);
    expect(await pollOnce(poll)).toMatchObject({ rows: 5, accepted: 1, outcome: "fetched" });
  });

  it("is asked whole again where its definition changed what an answer means", async () => {
    await pollOnce(await polled("list"));
    offer(4);
    await pollOnce(again());
    expect(await pollOnce(again({ columns: { quoted_at: { path: "ts", unit: "s" }, price: "price" } }))).toMatchObject({
      rows: 4,
      accepted: 0,
    });
  });

  it("is not asked from the beginning where what is stored cannot be read, until the file is removed", async () => {
    const poll = await polled("since");
    offer(3);
    await pollOnce(poll);
    const file = join(world.folder, "polls", "quotes.json");
    for (const text of ["{", "null", '{"format": 2}']) {
      writeFileSync(file, text);
      const restarted = again();
      expect(await failure(restarted), text).toMatchObject({ code: "STATE_CODEC", where: file });
      expect(api.asked).toHaveLength(1);
      rmSync(file);
      expect(await pollOnce(restarted)).toMatchObject({ rows: 3, accepted: 0 });
      api.asked.length = 1;
    }
  });

  it("has its cursor kept when its address changes, and begun anew when the cursor's start does", async () => {
    const poll = await polled("sequence");
    offer(12);
    await pollOnce(poll);
    await pollOnce(again({ url: `${api.url}/v2` }));
    expect(api.asked.at(-1)).toBe("/quotes/v2?after=12");
    await pollOnce(again({ cursor: { answer: "next", param: "after", more: "has_more", start: "10" } }));
    expect(api.asked.at(-1)).toBe("/quotes?after=10");
    expect(await idsInLog(pipeline)).toHaveLength(12);
  });

  it.each<[string, Fault, string, string]>([
    ["answers 500", { kind: "status", status: 500 }, "POLL_REFUSED", "it answers 500"],
    ["answers 401", { kind: "status", status: 401 }, "POLL_REFUSED", "it answers 401"],
    ["answers 304 unasked", { kind: "status", status: 304 }, "POLL_REFUSED", "it answers 304"],
    ["resets the connection", { kind: "reset" }, "SERVER_UNREACHABLE", "cannot be reached: "],
    ["never answers", { kind: "hang" }, "CALL_TIMED_OUT", "no whole answer within 0.3 s"],
    ["breaks off a body of a stated length", { kind: "cut", chunked: false }, "POLL_ANSWER_INVALID", "broke off"],
    ["breaks off a body in chunks", { kind: "cut", chunked: true }, "POLL_ANSWER_INVALID", "broke off"],
    [
      "answers what is no JSON",
      { kind: "text", body: '{"data": {"items": [}' },
      "POLL_ANSWER_INVALID",
      "line 1, column 21",
    ],
    ["answers nothing", { kind: "text", body: "" }, "POLL_ANSWER_INVALID", "the text ends"],
    [
      "answers half a letter",
      { kind: "text", body: Buffer.from([0x22, 0xc3, 0x22]) },
      "POLL_ANSWER_INVALID",
      "no UTF-8",
    ],
    [
      "answers something else",
      { kind: "text", body: '{"data": {}}' },
      "POLL_ANSWER_INVALID",
      'nothing at "data.items"',
    ],
    [
      "answers a number for rows",
      { kind: "text", body: '{"data": {"items": 5}}' },
      "POLL_ANSWER_INVALID",
      "a number, not rows",
    ],
    ["answers without end", { kind: "huge", gzip: false }, "POLL_ANSWER_INVALID", "larger than 1000000 bytes"],
    ["packs 64 MiB into little", { kind: "huge", gzip: true }, "POLL_ANSWER_INVALID", "larger than 1000000 bytes"],
    ["redirects in a circle", { kind: "redirect", to: "/quotes" }, "", ""],
    [
      "redirects elsewhere",
      { kind: "redirect", to: "http://127.0.0.2:1/quotes" },
      "POLL_REFUSED",
      "its redirect leads to http://127.0.0.2:1",
    ],
    ["redirects nowhere", { kind: "redirect", to: "http://" }, "POLL_ANSWER_INVALID", "its redirect is no address"],
  ])(
    "that %s fails the poll with a code, stores nothing, and is read the next time",
    async (_what, fault, code, says) => {
      const poll = await polled("since", {
        bodyBytesMax: 1_000_000,
        timeout: fault.kind === "hang" ? "300ms" : "10s",
      });
      offer(8);
      const times = fault.kind === "redirect" && code === "" ? 6 : 1;
      api.faults.push(...Array.from({ length: times }, () => fault));
      const error = await failure(poll);
      expect(error).toMatchObject({
        code: code || "POLL_REFUSED",
        where: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/quotes$/),
      });
      expect(error.message).toContain(says);
      expect(() => stateText()).toThrow("ENOENT");
      expect(await idsInLog(pipeline)).toEqual([]);
      await pollOnce(poll);
      expect(await idsInLog(pipeline)).toHaveLength(8);
    },
  );

  it("is followed where it redirects on the same origin, and read where it packs its answers", async () => {
    const poll = await polled("since");
    offer(3);
    api.faults.push({ kind: "redirect", to: "/elsewhere?since=0", status: 307 }, { kind: "gzip" });
    expect(await pollOnce(poll)).toMatchObject({ accepted: 3 });
    expect(api.asked.slice(0, 2)).toEqual(["/quotes", "/elsewhere?since=0"]);
  });

  it("says when it wants to be asked again, in seconds or by a date", async () => {
    const poll = await polled("since");
    const date = new Date(world.clock.time / 1000 + 90_000).toUTCString();
    for (const [retryAfter, micros] of [
      ["7", 7_000_000],
      [date, 90_000_000],
      ["soon", null],
      ["999999999", 86_400_000_000],
    ] as const) {
      api.faults.push({ kind: "status", status: 429, retryAfter });
      const error = await failure(poll);
      expect(error).toBeInstanceOf(PollRefusal);
      expect((error as PollRefusal).retryAfterMicros).toBe(micros);
    }
  });

  it("that cannot be reached at all is said to be so by its address", async () => {
    const poll = await polled("since");
    await api.close();
    expect(await failure(poll)).toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: "the API cannot be reached: ECONNREFUSED",
    });
    api = await new QuoteApi().open();
  });
});

describe("rows of an answer", () => {
  it("that the door refuses become dead letters, and move the cursor only to a time that can be one", async () => {
    const poll = await polled("since");
    offer(2);
    api.rows.push(
      quote(2, { quote_id: "future", ts: 99_999_999_999 / 10 }),
      quote(3, { quote_id: "wrong", price: "much" as never }),
    );
    await pollOnce(poll);
    expect(await idsInLog(pipeline)).toEqual(["q0", "q1"]);
    expect(pipeline.deadLetters.openCount).toBe(2);
    expect(poll.cursor).toBe(String(api.rows[3]!.ts));
  });

  it("whose time has not come are asked for again although the answer has not changed", async () => {
    const poll = await polled("list");
    offer(1);
    api.rows.push(quote(1, { ts: world.clock.time / 1e6 + 120 }));
    await pollOnce(poll);
    expect(await pollOnce(poll)).toMatchObject({ outcome: "fetched", accepted: 0 });
    world.clock.time += 11 * 60 * 1_000_000;
    expect(await pollOnce(poll)).toMatchObject({ outcome: "fetched", accepted: 1 });
    expect(await pollOnce(poll)).toMatchObject({ outcome: "unchanged" });
    expect(pipeline.deadLetters.openCount).toBe(1);
  });

  it("that are all refused do not hold up those behind them", async () => {
    const poll = await polled("since");
    for (let n = 0; n < 6; n++) api.rows.push(quote(n, { price: "much" as never }));
    offer(3);
    await pollOnce(poll);
    await pollOnce(poll);
    expect(pipeline.deadLetters.openCount).toBe(6);
    expect(await idsInLog(pipeline)).toEqual(["q6", "q7", "q8"]);
  });

  it("that are refused again and again become one dead letter, and get in once their time has come", async () => {
    const poll = await polled("since");
    offer(1);
    api.rows.push(quote(1, { price: "much" as never }), quote(2, { ts: world.clock.time / 1e6 + 120 }));
    for (let polls = 0; polls < 5; polls++) await pollOnce(poll);
    expect(pipeline.deadLetters.openCount).toBe(2);
    world.clock.time += 11 * 60 * 1_000_000;
    expect(await pollOnce(poll)).toMatchObject({ rows: 3, accepted: 1 });
    expect(pipeline.deadLetters.openCount).toBe(2);
    expect(await idsInLog(pipeline)).toEqual(["q0", "q2"]);
  });

  it("may be no objects, or one object, or null, or missing", async () => {
    const poll = await polled("list");
    api.faults.push(
      { kind: "text", body: "[1, null, [2]]" },
      { kind: "text", body: JSON.stringify(quote(1)) },
      { kind: "text", body: "null" },
      { kind: "status", status: 204 },
    );
    for (let n = 0; n < 4; n++) await pollOnce(poll);
    expect(pipeline.deadLetters.openCount).toBe(3);
    expect(await idsInLog(pipeline)).toEqual(["q1"]);
  });

  it("may have an id of several values, and what no column names is passed over", async () => {
    const poll = await polled("list", {
      columns: { quote_id: { parts: ["symbol", "meta.n"] }, quoted_at: { path: "ts", unit: "s" } },
    });
    const row = { symbol: "S1", price: 1, ts: 1_767_225_600.5, other: true };
    api.faults.push({
      kind: "text",
      body: JSON.stringify([{ ...row, meta: { n: 1 } }, { ...row, meta: { n: 2 } }, row]),
    });
    await pollOnce(poll);
    expect(await idsInLog(pipeline)).toEqual(['["S1",1]', '["S1",2]']);
    expect(pipeline.deadLetters.openCount).toBe(1);
  });
});

describe("a cursor", () => {
  it("asks for a stretch again where the API shows rows late", async () => {
    const poll = await polled("since", { cursor: { column: "quoted_at", param: "since", lookback: "10s" } });
    offer(4);
    await pollOnce(poll);
    expect(poll.cursor).toBe(String(api.rows.at(-1)!.ts - 10));
    api.rows.splice(1, 0, quote(99, { ts: api.rows[0]!.ts }));
    expect(await pollOnce(poll)).toMatchObject({ rows: 5, accepted: 1 });
  });

  it("that does not move while the API has more is an error that says so, not a circle", async () => {
    const poll = await polled("since");
    for (let n = 0; n < 7; n++) api.rows.push(quote(n, { ts: 1_767_225_600 }));
    const error = await failure(poll);
    expect(error).toMatchObject({
      code: "POLL_ANSWER_INVALID",
      message: "the API has more, and the cursor does not move from 1767225600",
    });
    expect(api.asked).toHaveLength(2);
    expect(await idsInLog(pipeline)).toHaveLength(5);
  });
});

describe("pages", () => {
  it("are read on where the last poll or process left off, and the cursor waits for the last of them", async () => {
    const poll = await polled("newest-first", { requestsMax: 2 });
    offer(18);
    await pollOnce(poll);
    expect(poll.cursor).toBeNull();
    api.faults.push({ kind: "status", status: 503 });
    const restarted = again({ requestsMax: 2 });
    await failure(restarted);
    expect(await pollOnce(restarted)).toMatchObject({ requests: 2, accepted: 8 });
    expect(restarted.cursor).toBe(String(api.rows.at(-1)!.ts));
    expect(await idsInLog(pipeline)).toHaveLength(18);
  });

  it("that are gone make the answer be read from its beginning", async () => {
    const poll = await polled("newest-first", { requestsMax: 2 });
    offer(18);
    await pollOnce(poll);
    api.faults.push({ kind: "status", status: 410 });
    expect((await failure(poll)).code).toBe("POLL_REFUSED");
    await pollOnce(poll);
    await pollOnce(poll);
    expect(api.asked.filter((asked) => !asked.includes("page="))).toHaveLength(2);
    expect((await idsInLog(pipeline)).toSorted()).toEqual(api.rows.map((row) => row.quote_id).toSorted());
  });

  it("that lead to themselves end, and in a circle fail", async () => {
    const poll = await polled("newest-first");
    const page = (next: string): Fault => ({ kind: "text", body: JSON.stringify({ items: [], next }) });
    api.faults.push(page("a"), page("a"));
    expect(await pollOnce(poll)).toMatchObject({ requests: 2, outcome: "fetched" });
    // Not an end: who asked for the second page may have been sent to the first.
    api.faults.push(page("a"), { kind: "text", body: JSON.stringify({ items: [quote(1)], next: "a" }) });
    expect((await failure(poll)).code).toBe("POLL_ANSWER_INVALID");
    expect(poll.cursor).toBeNull();
    api.faults.push(page("a"), page("b"), page("a"));
    expect(await failure(poll)).toMatchObject({
      code: "POLL_ANSWER_INVALID",
      message: "its next page is one that was read already",
    });
  });

  it("of another origin are not asked for", async () => {
    const poll = await polled("newest-first", { pages: { url: "next" } });
    api.faults.push({ kind: "text", body: JSON.stringify({ items: [], next: "https://evil.example/page" }) });
    expect(await failure(poll)).toMatchObject({
      code: "POLL_REFUSED",
      message: expect.stringContaining("https://evil.example"),
    });
  });
});

describe("secrets", () => {
  const secret = "s3cr3t-of-the-test";
  const options: Partial<HttpPollOptions> = {
    headers: { Authorization: { env: "QUOTES_TOKEN", prefix: "Bearer " }, "X-Team": "features" },
    query: { apikey: { env: "QUOTES_TOKEN" } },
  };

  it("are sent, and are in nothing that is stored or said", async () => {
    const poll = await polled("linked", options, { QUOTES_TOKEN: secret });
    offer(12);
    // The API repeats the address, secret and all, in its links and its redirects.
    api.faults.push({ kind: "redirect", to: `/quotes?apikey=${secret}` });
    await pollOnce(poll);
    expect(api.headersAsked.every((headers) => headers.authorization === `Bearer ${secret}`)).toBe(true);
    expect(api.headersAsked[0]).toMatchObject({
      "x-team": "features",
      "user-agent": expect.stringMatching(/^onefold\/\d/),
      accept: "application/json",
    });
    expect(api.asked.every((asked) => asked.includes(`apikey=${secret}`))).toBe(true);
    expect(await idsInLog(pipeline)).toHaveLength(12);
    const said: unknown[] = [];
    for (const fault of [
      { kind: "status", status: 403 },
      { kind: "reset" },
      { kind: "text", body: "{" },
      { kind: "redirect", to: `http://${secret}.example/?apikey=${secret}` },
    ] satisfies Fault[]) {
      api.faults.push(fault);
      const { message, where, hint, cause } = await failure(poll);
      said.push([message, where, hint, cause]);
    }
    expect(JSON.stringify(said.slice(0, 3))).not.toContain(secret);
    // Of a redirect the origin is named, never its parameters.
    expect(JSON.stringify(said[3])).not.toContain("apikey");
    expect(stateText()).not.toContain(secret);
  });

  it("that are not set, or cannot be sent, fail the poll and name the variable alone", async () => {
    expect(await failure(await polled("list", options))).toMatchObject({
      code: "POLL_SECRET_MISSING",
      message: 'the environment variable QUOTES_TOKEN, which is sent as "apikey", is not set',
    });
    await pipeline.close();
    const error = await failure(await polled("list", options, { QUOTES_TOKEN: `${secret}\r\nx: y` }));
    expect(error.code).toBe("POLL_SECRET_MISSING");
    expect(JSON.stringify([error.message, error.hint])).not.toContain(secret);
    expect(api.asked).toEqual([]);
  });
});

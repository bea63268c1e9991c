import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mayBecomeRequestHead, parseRequestHead } from "../../../src/serve/http-fast/request-head.ts";
import { HOT, OTHERS } from "./known-requests.ts";

const headOf = (bytes: Buffer): string => {
  const text = bytes.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  return end < 0 ? text : text.slice(0, end + 4);
};

describe("a request head", () => {
  it("is read as method, target and length", () => {
    expect(parseRequestHead("GET /a/b?c=d HTTP/1.1\r\nHOST:x\r\n\r\n")).toEqual({
      method: "GET",
      target: "/a/b?c=d",
      bodyBytes: 0,
      consumer: "",
    });
    const lines = ["POST / HTTP/1.1", "content-length: \t 17 ", "X-Empty:", "host: x", "Connection: Keep-Alive"];
    expect(parseRequestHead(`${lines.join("\r\n")}\r\n\r\n`)).toEqual({
      method: "POST",
      target: "/",
      bodyBytes: 17,
      consumer: "",
    });
  });

  it("says who asks, unless it says so twice", () => {
    const named = (...names: string[]): string =>
      `GET / HTTP/1.1\r\nHost: x\r\n${names.map((name) => `X-Onefold-Consumer: ${name}\r\n`).join("")}\r\n`;
    expect(parseRequestHead(named(" web "))!.consumer).toBe("web");
    expect(parseRequestHead(named("web", "job"))).toBe(null);
  });

  it("may be on its way at each of its beginnings", () => {
    for (const bytes of Object.values(HOT)) {
      const head = headOf(bytes);
      expect(parseRequestHead(head)).not.toBeNull();
      for (let end = 0; end < head.length; end++) expect(mayBecomeRequestHead(head.slice(0, end))).toBe(true);
    }
  });

  it("is never waited for where none can come", () => {
    const starts = ["\x16\x03", "get", "PUT", "GETS", "POST  ", "GET x", "GET / HTTP/1.0", "GET / HTTP/1.1\n", "\r\n"];
    for (const start of starts) expect(mayBecomeRequestHead(start), start).toBe(false);
    for (const line of [
      "a b",
      "a\n",
      ":",
      "a: \0",
      "Expect: x\r\n",
      "Content-Length: 1\r\n",
      " a",
      "a: b\r c",
      "Content-Length: 1x",
      "Content-Length: 9999999999",
      "Expect:",
    ]) {
      expect(mayBecomeRequestHead(`GET / HTTP/1.1\r\nHost: x\r\n${line}`), line).toBe(false);
    }
    // The ordinary server refuses the second where it begins.
    const twice = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length:";
    for (const line of ["", " ", "0", " 1"]) expect(mayBecomeRequestHead(twice + line), line).toBe(false);
  });

  it("that is whole and in the subset was so at each of its beginnings, whatever it is", () => {
    const pieces = [...Object.values(HOT), ...Object.values(OTHERS)].flatMap((bytes) => headOf(bytes).split("\r\n"));
    const line = fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: "binary-ascii", maxLength: 12 }));
    const lines = fc.tuple(fc.constantFrom("GET /a HTTP/1.1", "POST /a HTTP/1.1"), fc.array(line, { maxLength: 6 }));
    fc.assert(
      fc.property(lines, ([first, rest]) => {
        const head = `${[first, ...rest].join("\r\n")}\r\n\r\n`;
        // An empty line ends a head, so that the parser never sees one with another inside.
        fc.pre(head.indexOf("\r\n\r\n") === head.length - 4);
        if (parseRequestHead(head) === null) return;
        for (let end = 0; end < head.length; end++) expect(mayBecomeRequestHead(head.slice(0, end))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

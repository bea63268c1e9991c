/**
 * The strict subset of HTTP/1.1 heads (RFC 9112) that the fast door understands:
 *
 *     GET or POST, one space, an absolute path of printable ASCII, one space, "HTTP/1.1", CRLF
 *     name ":" optional blanks, printable ASCII, CRLF        at most 64 of them
 *     CRLF
 *
 * with exactly one Host; for POST exactly one Content-Length of digits, for GET none; and none of the
 * headers that change how a message is framed, who answers it, or what its body means. All else is null: the
 * ordinary server's parser decides about it. So the two can differ about no message's length, which is what
 * request smuggling lives on.
 */
import { CONSUMER_HEADER } from "../route.ts";

export interface RequestHead {
  readonly method: "GET" | "POST";
  /** Path and query as they were sent. */
  readonly target: string;
  readonly bodyBytes: number;
  /** How whoever asks names itself; empty where it does not. */
  readonly consumer: string;
}

export const HEAD_BYTES_MAX: number = 8 * 1024;
const HEADERS_MAX = 64;

const CRLF = "\r\n";
const REQUEST_LINE = /^(GET|POST) (\/[!-~]*) HTTP\/1\.1$/;
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~]*)$/;
/** Beginnings of lines that the two above may come to match. */
const REQUEST_LINE_BEGUN =
  /^(?:G|GE|GET|P|PO|POS|POST|(?:GET|POST) (?:\/[!-~]*(?: (?:H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.1\r?)?)?)?)?$/;
const HEADER_LINE_BEGUN = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]*|[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~]*\r?|\r)$/;

const LENGTH = /^(?:0|[1-9]\d{0,8})$/;
/** Its beginning: more digits than these the ordinary server may refuse before the line ends. */
const LENGTH_BEGUN = /^(?:0|[1-9]\d{0,8})?$/;
const JSON_TYPE = /^application\/json(?:; ?charset=utf-8)?$/i;
/** They frame the message, switch protocols, choose another route, encode the body, or end the connection. */
const NOT_HERE: ReadonlySet<string> = new Set([
  "transfer-encoding",
  "content-encoding",
  "expect",
  "upgrade",
  "http2-settings",
  "te",
  "trailer",
  "proxy-connection",
  "accept-version",
]);

/** A whole head, with the empty line that ends it, in latin1. */
export function parseRequestHead(text: string): RequestHead | null {
  return readLines(text.split(CRLF), 2);
}

/** Whether more bytes may make a head in the subset of this: one that cannot is handed over without waiting. */
export function mayBecomeRequestHead(text: string): boolean {
  const lines = text.split(CRLF);
  const last = lines.pop()!;
  if (lines.length === 0) return REQUEST_LINE_BEGUN.test(last);
  if (!HEADER_LINE_BEGUN.test(last)) return false;
  const before = readLines(lines, 0);
  return before !== null && mayBecomeHeader(last, before.bodyBytes >= 0);
}

/** Of a line that is no whole one yet: what is wrong already, the ordinary server refuses already. */
function mayBecomeHeader(line: string, hasLength: boolean): boolean {
  const colon = line.indexOf(":");
  if (colon < 0) return true;
  const name = line.slice(0, colon).toLowerCase();
  if (name === "content-length") return !hasLength && LENGTH_BEGUN.test(line.slice(colon + 1).trim());
  return !NOT_HERE.has(name);
}

/**
 * Reads the request line and all header lines but so many at the end, which a whole head has empty. Only a
 * whole head must have all the headers it needs; of others the length is -1 where none is said yet.
 */
function readLines(lines: readonly string[], emptyAtEnd: 0 | 2): RequestHead | null {
  const [, method, target] = REQUEST_LINE.exec(lines[0]!) ?? [];
  const end = lines.length - emptyAtEnd;
  if (target === undefined || end - 1 > HEADERS_MAX) return null;
  let hosts = 0;
  let bodyBytes = -1;
  let consumer = "";
  for (let i = 1; i < end; i++) {
    const [, name, rawValue] = HEADER_LINE.exec(lines[i]!) ?? [];
    if (name === undefined || rawValue === undefined) return null;
    const value = rawValue.trim();
    const lowerName = name.toLowerCase();
    switch (lowerName) {
      case "host":
        if (value === "" || ++hosts > 1) return null;
        break;
      case "content-length":
        if (bodyBytes >= 0 || method === "GET" || !LENGTH.test(value)) return null;
        bodyBytes = Number(value);
        break;
      case "content-type":
        if (!JSON_TYPE.test(value)) return null;
        break;
      case "connection":
        if (value.toLowerCase() !== "keep-alive") return null;
        break;
      case CONSUMER_HEADER:
        // Of several the ordinary server makes one list.
        if (consumer !== "") return null;
        consumer = value;
        break;
      default:
        if (NOT_HERE.has(lowerName)) return null;
    }
  }
  const isWhole = emptyAtEnd === 2;
  if (isWhole && (hosts !== 1 || (method === "POST") !== bodyBytes >= 0)) return null;
  return {
    method: method as "GET" | "POST",
    target,
    bodyBytes: isWhole ? Math.max(0, bodyBytes) : bodyBytes,
    consumer,
  };
}

import { describe, expect, it } from "vitest";
import { BytesUnderWay } from "../../../src/serve/request-body.ts";
import { splitInlineCommand } from "../../../src/serve/resp/inline-command.ts";
import { ProtocolError, RequestParser, type RequestLimits } from "../../../src/serve/resp/request-parser.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { encodeCommand } from "./resp-in-test.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 11);
const LIMITS: RequestLimits = { inlineBytesMax: 1000, argumentsMax: 100, requestBytesMax: 200_000 };

function createParser(limits = LIMITS, bytesMax = 1_000_000): { parser: RequestParser; underWay: BytesUnderWay } {
  const underWay = new BytesUnderWay(bytesMax);
  return { parser: new RequestParser(limits, underWay), underWay };
}

/** The requests in these chunks, and the message of the error they end with. */
function parse(chunks: readonly Buffer[], limits = LIMITS): { requests: string[][]; error: string | null } {
  const { parser } = createParser(limits);
  const requests: string[][] = [];
  try {
    for (const chunk of chunks) {
      parser.write(chunk);
      for (let request = parser.next(); request !== null; request = parser.next()) requests.push([...request.args]);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { requests, error: error.message };
  }
  return { requests, error: null };
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

const STREAM = bytes(
  [
    encodeCommand(["FGET", "delay_model", "JFK", "JFK|LAX"]),
    "PING\r\n",
    "\r\n\n",
    encodeCommand(["ECHO", ""]),
    "*0\r\n*-1\r\n",
    encodeCommand(["ECHO", "Zürich \u{1f680} \r\n$3\r\n"]),
    "*2\r\n$4\r\nECHO\r\n$4\r\n\x00\xff\r\n\r\n",
    " echo  \"a b\\x41\" 'it\\'s' x\n",
    encodeCommand(["PING"]),
  ].join(""),
);
const REQUESTS = [
  ["FGET", "delay_model", "JFK", "JFK|LAX"],
  ["PING"],
  ["ECHO", ""],
  ["ECHO", Buffer.from("Zürich \u{1f680} \r\n$3\r\n").toString("latin1")],
  ["ECHO", "\x00\xff\r\n"],
  ["echo", "a bA", "it's", "x"],
  ["PING"],
];

describe("requests", () => {
  it("are the same wherever their bytes are split", () => {
    expect(parse([STREAM])).toEqual({ requests: REQUESTS, error: null });
    for (let at = 0; at <= STREAM.length; at++) {
      expect(parse([STREAM.subarray(0, at), STREAM.subarray(at)]).requests, `split at ${at}`).toEqual(REQUESTS);
    }
    expect(parse(Array.from(STREAM, (byte) => Buffer.from([byte]))).requests).toEqual(REQUESTS);
  });

  it("are the same at random splits, with arguments of many chunks", () => {
    console.log(`splits are random by seed ${SEED} (ONEFOLD_SEED)`);
    const random = new SeededRandom(SEED);
    for (let round = 0; round < 200; round++) {
      const requests = Array.from({ length: random.integer(1, 6) }, () =>
        Array.from({ length: random.integer(1, 5) }, () =>
          String.fromCharCode(random.integer(0, 255)).repeat(random.pick([0, 1, 2, 30, 5000, 20_000])),
        ),
      );
      const encoded = Buffer.concat(
        requests.map((args) =>
          bytes(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`),
        ),
      );
      const chunks: Buffer[] = [];
      for (let at = 0; at < encoded.length;) {
        const size = random.pick([1, 7, 100, 1024, 4096, 65_536]);
        chunks.push(encoded.subarray(at, at + size));
        at += size;
      }
      expect(parse(chunks), `seed ${SEED}, round ${round}`).toEqual({ requests, error: null });
    }
  });

  it("tell whether one has begun that is not whole", () => {
    const { parser } = createParser();
    const whole = bytes(encodeCommand(["ECHO", "hello"]));
    for (let at = 1; at < whole.length; at++) {
      parser.write(whole.subarray(at - 1, at));
      expect(parser.next()).toBeNull();
      expect(parser.isPartial).toBe(true);
    }
    parser.write(whole.subarray(whole.length - 1));
    expect(parser.next()?.args).toEqual(["ECHO", "hello"]);
    expect(parser.isPartial).toBe(false);
  });
});

describe("bytes that are no request", () => {
  it.each([
    ["*x\r\n", "invalid multibulk length"],
    ["*\r\n", "invalid multibulk length"],
    ["*101\r\n", "invalid multibulk length"],
    ["*99999999999999999999\r\n", "invalid multibulk length"],
    [`*${"1".repeat(40)}`, "too big mbulk count string"],
    ["*1\r\n:3\r\n", "expected '$', got ':'"],
    ["*1\r\n\xff", "expected '$', got '\\xff'"],
    ["*1\r\n$-1\r\n", "invalid bulk length"],
    ["*1\r\n$x\r\n", "invalid bulk length"],
    ["*1\r\n$200001\r\n", "invalid bulk length"],
    ["*2\r\n$150000\r\n", null],
    [`*2\r\n$150000\r\n${"x".repeat(150_000)}\r\n$50001\r\n`, "invalid bulk length"],
    [`*1\r\n$${"0".repeat(40)}`, "too big bulk count string"],
    ["*1\r\n$4\r\nPING!!", "expected a line end (CRLF)"],
    ["*1\n$4\r\n", "invalid multibulk length"],
    ["*1\r\r", "expected a line end (CRLF)"],
    ['PING "abc\r\n', "unbalanced quotes in request"],
    [`${"x".repeat(1001)}`, "too big inline request"],
    [`${"x".repeat(1000)}\n`, null],
  ])("are answered with an error, however they come in: case %#", (text, error) => {
    expect(parse([bytes(text)]).error).toBe(error);
    // The longest in some chunks, the others byte by byte.
    const sizes = text.length > 2000 ? 997 : 1;
    const chunks = Array.from({ length: Math.ceil(text.length / sizes) }, (_, i) =>
      bytes(text.slice(i * sizes, (i + 1) * sizes)),
    );
    expect(parse(chunks).error).toBe(error);
  });

  it("come after the requests before them", () => {
    const { requests, error } = parse([bytes(`${encodeCommand(["PING"])}*1\r\n!`)]);
    expect(requests).toEqual([["PING"]]);
    expect(error).toBe("expected '$', got '!'");
  });
});

describe("memory", () => {
  it("is taken from the bytes under way as it is needed, not as it is announced, and given back", () => {
    const { parser, underWay } = createParser({ ...LIMITS, requestBytesMax: 1_000_000 }, 500_000);
    parser.write(bytes("*2\r\n$4\r\nECHO\r\n$400000\r\n"));
    expect(parser.next()).toBeNull();
    expect(underWay.take(500_000)).toBe(true);
    underWay.giveBack(500_000);
    for (let sent = 0; sent < 400_000; sent += 50_000) {
      parser.write(Buffer.alloc(50_000, "x"));
      expect(parser.next()).toBeNull();
    }
    expect(underWay.take(200_000)).toBe(false);
    parser.write(bytes("\r\n"));
    const request = parser.next()!;
    expect(request.args[1]).toHaveLength(400_000);
    expect(request.heldBytes).toBeGreaterThanOrEqual(400_000);
    underWay.giveBack(request.heldBytes);
    expect(underWay.take(500_000)).toBe(true);
  });

  it("that is not there refuses the request, and the next one is read as if nothing had been", () => {
    const { parser, underWay } = createParser({ ...LIMITS, requestBytesMax: 1_000_000 }, 200_000);
    parser.write(bytes("*3\r\n$4\r\nECHO\r\n$400000\r\n"));
    for (let sent = 0; sent < 400_000; sent += 50_000) {
      parser.write(Buffer.alloc(50_000, "x"));
      expect(parser.next()).toBeNull();
    }
    parser.write(bytes(`\r\n$3\r\nabc\r\n${encodeCommand(["PING"])}`));
    expect(parser.next()).toEqual({ args: [], isRefused: true, heldBytes: 0 });
    expect(parser.next()).toEqual({ args: ["PING"], isRefused: false, heldBytes: 0 });
    expect(underWay.take(200_000)).toBe(true);
  });

  it("is given back when the connection is lost in the middle", () => {
    const { parser, underWay } = createParser(LIMITS, 200_000);
    parser.write(bytes("*2\r\n$4\r\nECHO\r\n$150000\r\n"));
    parser.next();
    parser.write(Buffer.alloc(100_000, "x"));
    expect(underWay.take(150_000)).toBe(false);
    parser.dispose();
    expect(underWay.take(200_000)).toBe(true);
  });

  it("of many small arguments counts, too", () => {
    const { parser, underWay } = createParser({ ...LIMITS, argumentsMax: 100_000 }, 10_000_000);
    parser.write(bytes(`*100000\r\n${"$1\r\nx\r\n".repeat(50_000)}`));
    expect(parser.next()).toBeNull();
    expect(underWay.take(8_000_000)).toBe(false);
  });
});

describe("inline commands", () => {
  it("are split into words, quoted or not", () => {
    expect(splitInlineCommand("  a\tbc  ")).toEqual(["a", "bc"]);
    expect(splitInlineCommand('"" \'\' "\\n\\r\\t\\b\\a\\q\\"" \'\\n\'')).toEqual(["", "", '\n\r\t\b\x07q"', "\\n"]);
    expect(splitInlineCommand(`FGET s '{"a":1}'`)).toEqual(["FGET", "s", '{"a":1}']);
    for (const open of ['"a', "'a", '"a"b', '"\\', '{"a":1}']) expect(splitInlineCommand(open)).toBeNull();
  });
});

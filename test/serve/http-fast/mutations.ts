/** Random input for an HTTP server: whole requests, requests with something wrong, and how they are cut up. */
import type { SeededRandom } from "../../../src/testing/random.ts";
import { HOT, OTHERS } from "./known-requests.ts";
import { getRequest, requestBytes, vectorBody } from "./request-text.ts";

const BYTES: readonly number[] = [0, 9, 10, 13, 32, 34, 35, 37, 43, 47, 48, 58, 63, 127, 128, 195, 255];
const LINES: readonly string[] = [
  "Content-Length: 0",
  "Content-Length: 12",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Host: other",
  "Connection: close",
  "Connection: keep-alive",
  "Expect: 100-continue",
  "Upgrade: h2c",
  "Content-Encoding: gzip",
  "Content-Type: application/json; charset=utf-8",
  "Cookie: a=b; c=d",
  "X-Padding: \t ",
  " folded",
];
/** CONNECT makes node:http hang up without a word, on what it has not answered yet too: it is tested alone. */
const ODD: readonly Buffer[] = Object.entries(OTHERS).flatMap(([name, bytes]) => (name === "CONNECT" ? [] : [bytes]));
const KEYS: readonly string[] = ["A0", "A1", "Zürich", "nowhere", "a|b", "a\\b", '"', "\u2028", "", "东京", "%41"];

/** One to four requests, most of them valid, as one stream of bytes. */
export function randomStream(random: SeededRandom): Buffer {
  const requests = Array.from({ length: random.integer(1, 4) }, () => randomRequest(random));
  const stream = Buffer.concat(requests);
  return random.oneIn(10) ? stream.subarray(0, random.integer(0, stream.length)) : stream;
}

/** The stream in up to eight parts; now and then byte by byte. */
export function randomParts(random: SeededRandom, stream: Buffer): Buffer[] {
  if (stream.length < 600 && random.oneIn(15)) return Array.from(stream, (byte) => Buffer.from([byte]));
  const cuts = Array.from({ length: random.integer(0, 7) }, () => random.integer(0, stream.length));
  const places = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
  return places.slice(1).map((end, i) => stream.subarray(places[i], end));
}

export function randomBytes(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
}

function randomRequest(random: SeededRandom): Buffer {
  if (random.oneIn(60)) return randomLarge(random);
  switch (random.integer(0, 9)) {
    case 0:
      return small(random.pick(ODD));
    case 1:
    case 2:
      return mutate(random, small(random.pick(Object.values(HOT))));
    case 3:
      return mutate(random, small(random.pick(ODD)));
    case 4:
      return randomUrl(random);
    case 5:
      return randomBytes(random, random.integer(1, 40));
    default:
      if (random.oneIn(3)) return small(random.pick(Object.values(HOT)));
      return random.oneIn(3) ? randomColumns(random) : randomVector(random);
  }
}

/** Of many chunks, and not beyond any limit: who is refused may hear of it or not, as the system sees fit. */
function randomLarge(random: SeededRandom): Buffer {
  const body = vectorBody(random.pick(KEYS));
  const padding = " ".repeat(random.integer(1, 200_000));
  if (random.oneIn(2)) return requestBytes({ body: random.oneIn(2) ? body + padding : `{${padding}${body.slice(1)}` });
  return mutateHead(requestBytes({ body }), `X-Padding: ${"x".repeat(random.integer(1, 7000))}\r\n`);
}

function mutateHead(request: Buffer, line: string): Buffer {
  const at = request.indexOf("\r\n") + 2;
  return Buffer.concat([request.subarray(0, at), Buffer.from(line), request.subarray(at)]);
}

/** What is long is tested once, by name; here it would only take time. */
function small(bytes: Buffer): Buffer {
  return bytes.length > 3000 ? bytes.subarray(0, 3000) : bytes;
}

/** Few beginnings and many ends, of which some do not fit together. */
function randomColumns(random: SeededRandom): Buffer {
  const asked = random.pick([
    '"features":["origin_delays:arrivals_1h"]',
    '"features": ["origin_delays:arrivals_1h"]',
    '"features":["origin_delays:last_delay","destination_delays:last_arrival"],"full_feature_names":true',
    '"feature_service":"delay_model"',
    '"features":["nothing:at_all"]',
    '"features":[]',
  ]);
  const keys = Array.from({ length: random.integer(0, 3) }, () => random.pick([...KEYS, null, 5, ["A1"]]));
  const more = random.pick([{}, {}, {}, { origin: keys, destination: keys }, { other: [] }, { other: 1 }]);
  const entities = `"entities":${random.oneIn(8) ? " " : ""}${JSON.stringify({ airport: keys, ...more })}`;
  const fields = random.pick([
    [asked, entities],
    [asked, entities],
    [asked, entities],
    [entities, asked],
    [asked, entities, '"features":["origin_delays:mean_delay_1h"]'],
    [asked, entities, entities],
    [asked, entities, ""],
  ]);
  const body = `{${fields.join(",")}}`;
  const sent = random.oneIn(8) ? mutate(random, Buffer.from(body)).toString("utf8") : body;
  return requestBytes({ target: "/get-online-features", body: sent });
}

function randomVector(random: SeededRandom): Buffer {
  const more = random.pick([
    {},
    { token: true },
    { metadata: "full" },
    { metadata: false, token: false },
    { metadata: 1 },
  ]);
  const body = vectorBody(random.pick(KEYS), more);
  return requestBytes({ body: random.oneIn(8) ? mutate(random, Buffer.from(body)).toString("utf8") : body });
}

function randomUrl(random: SeededRandom): Buffer {
  const escape = (text: string): string => (random.oneIn(4) ? text.replace(/[^!-~]/g, "?") : encodeURIComponent(text));
  const names = random.pick([
    "",
    "?names=last_delay",
    "?names=last_delay%2Carrivals_1h",
    "?token=true",
    "?metadata=full&token=false",
    "?x=1",
  ]);
  return getRequest(`/features/${random.pick(["airport", "route", "nothing"])}/${escape(random.pick(KEYS))}${names}`);
}

/** One to three small faults. */
function mutate(random: SeededRandom, bytes: Buffer): Buffer {
  let mutated = bytes;
  for (let i = random.integer(1, 3); i > 0; i--) mutated = mutateOnce(random, mutated);
  return mutated;
}

function mutateOnce(random: SeededRandom, bytes: Buffer): Buffer {
  const at = random.integer(0, bytes.length);
  const to = Math.min(bytes.length, at + random.integer(1, 12));
  const put = (inserted: Uint8Array, end = at): Buffer =>
    Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(end)]);
  switch (random.integer(0, 6)) {
    case 0:
      return put(Buffer.from([random.pick(BYTES)]), Math.min(bytes.length, at + 1));
    case 1:
      return put(Buffer.from([random.pick(BYTES)]));
    case 2:
      return put(Buffer.alloc(0), to);
    case 3:
      return put(bytes.subarray(at, to));
    case 4: {
      const text = bytes.toString("latin1");
      return Buffer.from(
        text.replace(/content-length: (\d+)/i, (_, n) => `Content-Length: ${Number(n) + random.integer(-2, 2)}`),
        "latin1",
      );
    }
    case 5: {
      const lines = bytes.toString("latin1").split("\r\n");
      lines.splice(random.integer(1, Math.max(1, lines.indexOf(""))), 0, random.pick(LINES));
      return Buffer.from(lines.join("\r\n"), "latin1");
    }
    default:
      return Buffer.from(
        bytes.toString("latin1").replace("\r\n", random.pick(["\n", "\r", "\r\r\n", "\r\n\r\n"])),
        "latin1",
      );
  }
}

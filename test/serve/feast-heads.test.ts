import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FeastHeads, KnownRequest } from "../../src/serve/feast-heads.ts";
import { hotBody, NOT_VALID } from "../../src/serve/http-fast/hot-body.ts";
import type { HotRoute } from "../../src/serve/http-fast/hot-routes.ts";
import type { KnownBodies, Route } from "../../src/serve/route.ts";

const route: Route = {
  method: "POST",
  path: "/get-online-features",
  summary: "",
  reads: "wide-json",
  schemas: { answers: {} },
  handle: () => ({ status: 200, body: null }),
};

/** As the route's schema says. */
function isValid(body: unknown): boolean {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return false;
  const { entities, features, feature_service: service, full_feature_names: full } = body as Record<string, unknown>;
  if (typeof entities !== "object" || entities === null || Array.isArray(entities)) return false;
  if (!Object.values(entities).every((one) => Array.isArray(one))) return false;
  const isList = Array.isArray(features) && features.every((one) => typeof one === "string" && one !== "");
  const isName = service === undefined || service === null || typeof service === "string";
  return (features === undefined || isList) && isName && (full === undefined || typeof full === "boolean");
}

function hotRoute(known?: KnownBodies): HotRoute {
  return { route: known === undefined ? route : { ...route, known }, bodyIsValid: isValid };
}

/** What is asked for, however it was read: fields that mean nothing here are left out. */
function meant(body: unknown): unknown {
  if (body === NOT_VALID) return "not valid";
  const { head, entities } =
    body instanceof KnownRequest ? body : { head: body as object, entities: (body as { entities: unknown }).entities };
  const { features, feature_service: service, full_feature_names: full } = head as Record<string, unknown>;
  return { features, service, full, entities, order: Object.keys(entities as object) };
}

/** The body behind other bytes and before some, as a connection has it. */
function read(known: KnownBodies | undefined, body: Buffer): unknown {
  const bytes = Buffer.concat([Buffer.from('"entities"{'), body, Buffer.from('"entities":{}}')]);
  return hotBody(hotRoute(known), bytes, 11, 11 + body.length);
}

const FIELDS: readonly string[] = [
  '"features":["a:x","a:y"]',
  '"features": ["a:x", "é:\\u0079", "\\"entities\\""]',
  '"features":["entities"]',
  '"features":[5]',
  '"features":[""]',
  '"feature_service":"s"',
  '"feature_service":null',
  '"full_feature_names":true',
  '"full_feature_names":1',
  '"feature\\u0073":["a:z"]',
  '"extra":{"entities":{"a":[1]}}',
  '"extra":12345678901234567890',
  '"__proto__":{"features":["a:x"]}',
];
const ENTITIES: readonly string[] = [
  '"entities":{"a":[1]}',
  '"entities" : {"a":[2,3],"b":["x","12345678901234567"]}',
  '"entities":{"a":[12345678901234567890]}',
  '"entities":{"a":["é"]}',
  '"entities":{"__proto__":[1],"a":[2]}',
  '"entities":{"a":[1],"a":[2]}',
  '"entities":{"a":1}',
  '"entities":[]',
  '"entities":null',
  '"entities":{}',
  '"\\u0065ntities":{"a":[9]}',
  '"entities":{"a":[1e400,-0,1.5]}',
];
const gap = fc.constantFrom("", "", "", " ", "\n", "\t ", "\u00a0");
const field = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...FIELDS) }, fc.constantFrom(...ENTITIES));
/** Most say what there is to be known, and no more. */
const asked = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...FIELDS.slice(0, 3), ...FIELDS.slice(5, 8)).map((one) => [one]) },
  fc.array(field, { maxLength: 3 }),
);
const behind = fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(field, { maxLength: 1 }));
const body = fc
  .tuple(asked, fc.constantFrom(...ENTITIES), behind, gap, gap)
  .map(([before, entities, after, one, other]) => `{${[...before, entities, ...after].join(`${one},${other}`)}}`);
/** One byte is another, is gone, or comes twice. */
const odd = fc
  .tuple(body, fc.nat(), fc.constantFrom('"', ",", "{", "}", "]", "\\", " ", "1", "\u00e9", ""), fc.boolean())
  .map(([text, place, char, isMore]) => {
    const at = place % text.length;
    return `${text.slice(0, at)}${char}${text.slice(isMore ? at : at + 1)}`;
  });
const bodies = fc.array(fc.oneof({ weight: 4, arbitrary: body }, odd), { minLength: 1, maxLength: 12 });

describe("a request whose beginning came before", () => {
  it("means what it means as a whole, whatever its bytes", () => {
    const heads = new FeastHeads();
    let known = 0;
    fc.assert(
      fc.property(bodies, (texts) => {
        for (const text of texts) {
          const found = read(heads, Buffer.from(text));
          if (found instanceof KnownRequest) known++;
          expect(meant(found), text).toEqual(meant(read(undefined, Buffer.from(text))));
        }
      }),
      { numRuns: 2000 },
    );
    expect(known).toBeGreaterThan(500);
  });

  it("is known by it, with other entities, whatever blanks there are in it, and not where only its features are the same", () => {
    const heads = new FeastHeads();
    const ask = (text: string): unknown => read(heads, Buffer.from(text));
    for (const first of [
      '{"features": ["a:x"], "entities": {"a": [1]}}',
      '{"feature_service":"s","full_feature_names":true,\n"entities":{"a":[1]}}',
    ]) {
      expect(ask(first)).not.toBeInstanceOf(KnownRequest);
      const again = ask(first.replace("[1]", "[2, 3]"));
      expect(again).toBeInstanceOf(KnownRequest);
      expect((again as KnownRequest).entities).toEqual({ a: [2, 3] });
      expect((ask(first) as KnownRequest).head).toBe((again as KnownRequest).head);
    }
    expect(ask('{"features":["a:x"],"entities":{"a":[1]}}')).not.toBeInstanceOf(KnownRequest);
    expect(ask('{"features":["a:x"],"entities":{"a":[1]},"full_feature_names":true}')).not.toBeInstanceOf(KnownRequest);
  });

  it("keeps of it what the request means, and nothing else that it says", () => {
    const heads = new FeastHeads();
    const body = Buffer.from(`{"more":[{},{}],"features":["a:x"],"entities":{"a":[1]}}`);
    heads.learn(body, 0, body.length);
    expect(heads.find(body, 0, body.length)?.head).toEqual({ features: ["a:x"] });
  });

  it("is forgotten where there are too many, or too long ones", () => {
    const heads = new FeastHeads();
    const ask = (n: number, length = 1): unknown =>
      read(heads, Buffer.from(`{"features":["a:${n}${"x".repeat(length)}"],"entities":{"a":[1]}}`));
    ask(0);
    expect(ask(0)).toBeInstanceOf(KnownRequest);
    for (let n = 1; n <= 1000; n++) ask(n);
    expect(ask(1000)).toBeInstanceOf(KnownRequest);
    expect(ask(0)).not.toBeInstanceOf(KnownRequest);
    for (let n = 0; n < 50; n++) ask(n, 100_000);
    expect(ask(1000)).not.toBeInstanceOf(KnownRequest);
    ask(1, 200_000);
    expect(ask(1, 200_000)).not.toBeInstanceOf(KnownRequest);
  });
});

/** Key columns on Feast's wire, which are answered as they were sent: each of them is checked, also where no key is read of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Definition, EntityDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../src/serve/http.ts";
import { arrivals, createWorld, definitions as served } from "./served-world.ts";

const int64 = { name: "int64" } as const;
const wide = { name: "int64", wide: true } as const;
const customer: EntityDefinition = { kind: "entity", name: "customer", keys: [{ name: "customer_id", type: int64 }] };
const card: EntityDefinition = {
  kind: "entity",
  name: "card",
  keys: [
    { name: "number", type: wide },
    { name: "issuer", type: { name: "string" } },
  ],
};
/** Its key's name, and its own, are the same. */
const shop: EntityDefinition = { kind: "entity", name: "shop", keys: [{ name: "shop", type: int64 }] };
/** A key column of the name of another's, of another type. */
const named: EntityDefinition = {
  kind: "entity",
  name: "named",
  keys: [{ name: "customer_id", type: { name: "string" } }],
};
const template = served.find((definition) => definition.kind === "view") as ViewDefinition;
function view(entity: EntityDefinition, key: string[]): ViewDefinition {
  const features: ViewDefinition["features"] = [{ name: "count", type: int64, aggregation: { fn: "count" } }];
  return {
    ...template,
    name: `${entity.name}_sales`,
    version: 1,
    entity: entity.name,
    source: arrivals.name,
    key,
    features,
  };
}
const definitions: readonly Definition[] = [
  customer,
  card,
  shop,
  named,
  arrivals,
  view(customer, ["delay"]),
  view(card, ["account", "origin"]),
  view(shop, ["delay"]),
  view(named, ["origin"]),
];

let servers: HttpServer[];
beforeAll(async () => {
  const world = await createWorld(definitions);
  servers = [];
  for (const hotPath of [true, false])
    servers.push(await openHttpServer(createFeatureReader(world), world, { port: 0, hotPath }));
});
afterAll(() => Promise.all(servers.map((server) => server.close())));

/** What both doors answer, the fast one twice: the first time it learns what is asked for. */
async function ask(views: readonly string[], entities: string): Promise<{ status: number; text: string }> {
  const features = JSON.stringify(views.map((name) => `${name}_sales:count`));
  const body = `{"features": ${features}, "full_feature_names": true, "entities": ${entities}}`;
  const answers: { status: number; text: string }[] = [];
  for (const server of [servers[0]!, servers[0]!, servers[1]!]) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${server.url}/get-online-features`, { method: "POST", headers, body });
    answers.push({ status: response.status, text: await response.text() });
  }
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
  return answers[0]!;
}

/** Each value as one of a row whose entity is given by its own name, and as the key itself: both are refused alike. */
const REFUSED: readonly (readonly [value: string, code: string])[] = [
  ["9007199254740993", "INT64_UNSAFE"],
  ["-9007199254740993", "INT64_UNSAFE"],
  ["1e21", "INT64_UNSAFE"],
  ["1.5", "TYPE_MISMATCH"],
  ['"1.5"', "TYPE_MISMATCH"],
  ['"007"', "TYPE_MISMATCH"],
  ['"1], \\"x\\": [2"', "TYPE_MISMATCH"],
  ["true", "TYPE_MISMATCH"],
  ["[7]", "TYPE_MISMATCH"],
  ['{"customer_id": 7}', "TYPE_MISMATCH"],
  ["null", "KEY_MISSING"],
];

describe("a key column on Feast's wire", () => {
  it.each(REFUSED)("of int64 is refused with %s, read or not: %s", async (value, code) => {
    for (const entities of [
      `{"customer_id": [1, ${value}]}`,
      `{"customer": [1, 2], "customer_id": [1, ${value}]}`,
      `{"customer_id": [1, ${value}], "customer": [1, 2]}`,
    ]) {
      const { status, text } = await ask(["customer"], entities);
      expect([status, JSON.parse(text).error], text).toMatchObject([
        400,
        { code, where: "entities, row 1, customer.customer_id" },
      ]);
    }
  });

  it("that no key is read of is answered as it was sent where it is one", async () => {
    const entities = '{"customer": [1, 2, 3], "customer_id": [7, "8", -0]}';
    const { status, text } = await ask(["customer"], entities);
    expect(status).toBe(200);
    expect(JSON.parse(text).metadata.feature_names).toEqual(["customer_id", "customer_sales__count"]);
    expect(text).toContain('{"values":[7,8,0],');
  });

  it("of an entity with more of them is checked, too", async () => {
    const cards = (number: string, issuer: string): string =>
      `{"card": [[1, "visa"]], "number": [${number}], "issuer": [${issuer}]}`;
    const fine = await ask(["card"], cards("9007199254740993", '"v\\"isa"'));
    expect(fine.status).toBe(200);
    expect(fine.text).toContain('{"values":[9007199254740993],');
    expect(JSON.parse(fine.text).results[1].values).toEqual(['v"isa']);
    for (const [number, issuer, code] of [
      ["9223372036854775808", '"visa"', "INT64_UNSAFE"],
      ['"x"', '"visa"', "TYPE_MISMATCH"],
      ["1", "2", "TYPE_MISMATCH"],
      ["1", '"\\ud800"', "TYPE_MISMATCH"],
    ] as const) {
      expect(JSON.parse((await ask(["card"], cards(number, issuer))).text).error?.code, number).toBe(code);
    }
  });

  it("in its array or object is answered in it, as JSON", async () => {
    const { status, text } = await ask(["shop"], '{"shop": [[7], {"shop": "8"}, 9]}');
    expect(status).toBe(200);
    expect(JSON.parse(text).results[0].values).toEqual([[7], { shop: "8" }, 9]);
  });

  it("is of its type for each entity that has it", async () => {
    const given = (id: string): string => `{"customer": [1], "customer_id": [${id}]}`;
    expect((await ask(["customer", "named"], given('"7"'))).status).toBe(200);
    const { status, text } = await ask(["customer", "named"], given('"ada"'));
    expect([status, JSON.parse(text).error?.code]).toEqual([400, "TYPE_MISMATCH"]);
  });
});

/** Columns among the entities on Feast's wire: what nothing reads is refused, and what another view would read is not. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { HttpServer } from "../../src/serve/http.ts";
import { definitions, START } from "./every-type.ts";

let folder: string;
let platform: Platform;
let server: HttpServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-feast-"));
  platform = await openPlatform({ dataDir: join(folder, "data"), clock: new ReplayClock(START), definitions });
  await platform.apply(definitions);
  server = await platform.serve({ port: 0 });
});
afterAll(async () => {
  await server.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answered {
  readonly status: number;
  readonly body: {
    readonly error?: Readonly<Record<string, unknown>>;
    readonly metadata: { readonly feature_names: readonly string[] };
    readonly results: readonly { readonly values: readonly unknown[] }[];
  };
}

/** The features first, so that the second time they are known. */
async function ask(entities: Readonly<Record<string, readonly unknown[]>>, ...features: string[]): Promise<Answered> {
  const answers: Answered[] = [];
  for (let turn = 0; turn < 2; turn++) {
    const body = JSON.stringify({ features, entities });
    const response = await fetch(`${server.url}/get-online-features`, { method: "POST", body });
    answers.push({ status: response.status, body: (await response.json()) as Answered["body"] });
  }
  expect(answers[1]).toEqual(answers[0]);
  return answers[0]!;
}

const key = { region: ["north"], number: [1] };

it("are refused where nothing reads them, with the names that may have been meant", async () => {
  const { status, body } = await ask({ ...key, amount: [3], lable: ["x"] }, "computed:shout");
  expect([status, body.error]).toEqual([
    400,
    {
      code: "REQUEST_INVALID",
      message: '"lable" is no key column, and no request data of these features',
      where: "entities.lable",
      hint: "they take region, number, amount, label",
      candidates: ["label"],
    },
  ]);
  expect((await ask({ ...key, amount: [3], label: ["x"] }, "computed:shout")).body.results.at(-1)!.values).toEqual([
    "x!",
  ]);
});

it("are refused before a value is, and without rows", async () => {
  const wanted = { code: "REQUEST_INVALID", where: "entities.amuont", candidates: ["amount"] };
  expect((await ask({ ...key, amuont: [3] }, "computed:to_mean")).body.error).toMatchObject(wanted);
  const none = await ask({ region: [], number: [], amuont: [] }, "computed:to_mean");
  expect(none.body.error).toMatchObject(wanted);
});

it("are refused as keys that are missing where they stand for some", async () => {
  const { status, body } = await ask({ region: ["north"], nubmer: [1] }, "of_place:visits_1h");
  expect([status, body.error]).toMatchObject([
    400,
    { code: "KEY_MISSING", where: "entities, row 0, place.number", candidates: ["nubmer"] },
  ]);
});

it("may be keys of entities that these features do not read, and are left out of the answer", async () => {
  const { status, body } = await ask({ name: ["ada"], place: [["north", 1]], ...key }, "of_person:whole");
  expect([status, body.metadata.feature_names]).toEqual([200, ["name", "whole"]]);
});

it("may not be request data that these features do not take", async () => {
  const { body } = await ask({ ...key, amount: [3] }, "of_place:visits_1h");
  expect(body.error).toMatchObject({ code: "REQUEST_INVALID", where: "entities.amount" });
});

/** Reads on Feast's wire whose features came before: answered by what is meant now, and counted as any other. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { diagnostics } from "../../src/base/diagnostics.ts";
import { OnefoldError } from "../../src/base/errors.ts";
import { micros } from "../../src/base/micros.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../src/serve/http.ts";
import { STAND_IN_MILLIS } from "../../src/serve/stand-in.ts";
import { createWorld, HOUR, type World } from "./served-world.ts";

let world: World;
/** With the fast door, and without. */
let servers: HttpServer[];
let faults: Map<string, OnefoldError>;
beforeEach(async () => {
  world = await createWorld();
  faults = new Map();
  const { view } = world;
  Object.assign(world, {
    view: (name: string, version: number | "dev") => {
      const fault = faults.get(`${name}@${version}`);
      if (fault !== undefined) throw fault;
      return view(name, version);
    },
  });
  servers = [];
  for (const hotPath of [true, false]) {
    servers.push(await openHttpServer(createFeatureReader(world), world, { port: 0, hotPath }));
  }
  world.arrive({ delay: 8 });
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

/** What both doors answer, the fast one twice: the first time it learns what is asked for. */
async function ask(body: unknown, consumer = ""): Promise<any> {
  const answers: { status: number; text: string }[] = [];
  for (const server of [servers[0]!, servers[0]!, servers[1]!]) {
    const headers = { "content-type": "application/json", "x-onefold-consumer": consumer };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`${server.url}/get-online-features`, init);
    answers.push({ status: response.status, text: await response.text() });
  }
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
  return JSON.parse(answers[0]!.text);
}

async function move(version: number): Promise<void> {
  const target = `origin_delays@${version}`;
  await world.registry.moveAlias({
    action: "promote",
    kind: "view",
    target,
    by: "ada",
    keepMicros: micros(HOUR) as never,
  });
  world.revisionNumber++;
}

const unready = new OnefoldError("NOT_READY", "the view is being built");
const entities = { airport: ["JFK", "nowhere"] };
const arrivals = { features: ["origin_delays:arrivals_1h"], entities };
const last = { features: ["origin_delays:last_delay"], entities };

it("are of the version that a name means now", async () => {
  await move(2);
  expect((await ask(last)).results[1].values).toEqual([8, null]);
  await move(1);
  expect((await ask(last)).error.code).toBe("FEATURE_UNKNOWN");
  await move(2);
  expect((await ask(last)).results[1].values).toEqual([8, null]);
});

it("are refused once a view is not to be had any more", async () => {
  expect((await ask(arrivals)).results[1].values).toEqual([1, 0]);
  faults.set("origin_delays@2", new OnefoldError("FINGERPRINT_MISMATCH", "the code is another"));
  world.revisionNumber++;
  expect((await ask(arrivals)).error.code).toBe("FINGERPRINT_MISMATCH");
  faults.clear();
  world.revisionNumber++;
  expect((await ask(arrivals)).results[1].values).toEqual([1, 0]);
});

it("are of what stands in until the version that is meant is ready, and no longer", async () => {
  await move(1);
  faults.set("origin_delays@2", unready);
  await move(2);
  await ask(arrivals);
  expect((await ask(last)).error.code).toBe("NOT_READY");
  faults.clear();
  await sleep(2 * STAND_IN_MILLIS);
  expect((await ask(last)).results[1].values).toEqual([8, null]);
  const plans = new Set((await served(() => ask(arrivals))).map(({ plan }) => plan.qualifiedNames.join()));
  expect([...plans]).toEqual(["origin_delays@2:arrivals_1h"]);
});

interface Served {
  readonly service: string;
  readonly consumer: string;
  readonly plan: { readonly qualifiedNames: readonly string[] };
}

async function served(work: () => Promise<unknown>): Promise<Served[]> {
  const seen: Served[] = [];
  const onServed = (message: unknown): void => void seen.push({ ...(message as Served) });
  diagnostics.served.subscribe(onServed);
  await work();
  diagnostics.served.unsubscribe(onServed);
  return seen;
}

it("are counted for whoever asks, a vector for each row, and logged where they are sampled", async () => {
  const before = world.recorded.length;
  const service = {
    feature_service: "delay_model",
    entities: { airport: ["JFK"], origin: ["JFK"], destination: ["LAX"] },
  };
  const seen = await served(async () => {
    await ask(arrivals, "ana");
    await ask(arrivals, "ben");
    await ask(service, "ana");
  });
  const of = (name: string, consumer: string): number =>
    seen.filter((one) => one.service === name && one.consumer === consumer).length;
  expect([of("", "ana"), of("", "ben"), of("delay_model", "ana"), seen.length]).toEqual([6, 6, 3, 15]);
  expect(world.recorded.length - before).toBe(15);
});

it("answer what each row is refused for", async () => {
  await ask(arrivals);
  for (const airports of [["JFK", null], [["JFK", "LAX"]], [{ airport: "JFK" }], [{ city: "JFK" }], [7], [true], []]) {
    await ask({ ...arrivals, entities: { airport: airports } });
  }
  for (const others of [{}, { airprt: ["A"] }, { airport: ["A"], other: [] }, { airport: ["A"], other: [[{}]] }]) {
    await ask({ ...arrivals, entities: others });
  }
  const routes = { features: ["route_delays:route_arrivals_1h"] };
  for (const columns of [
    { route: [["JFK", "LAX"], "JFK"] },
    { route: ["x"], origin: ["JFK"], destination: ["LAX"] },
    { route: [["JFK", "LAX"]], origin: ["odd"], destination: [{}] },
    { origin: ["JFK", "A"], destination: ["LAX", 5] },
    { destination: ["LAX"] },
  ]) {
    await ask({ ...routes, entities: columns });
  }
  const many = Array.from({ length: 250 }, (_, i) => (i % 2 === 0 ? "JFK" : `A${i}`));
  const { results } = await ask({ features: ["origin_delays:arrivals_1h"], entities: { airport: many } });
  expect(results[1].values).toHaveLength(250);
});

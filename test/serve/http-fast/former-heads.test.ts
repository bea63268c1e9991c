/** Heads that are known for longer than what they mean: what is asked with them is answered by what is defined now. */
import { connect } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import { createFeatureReader } from "../../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../../src/serve/http.ts";
import { createWorld, HOUR, type World } from "../served-world.ts";

let world: World;
let server: HttpServer;
beforeEach(async () => {
  world = await createWorld();
  world.isSampling = false;
  server = await openHttpServer(createFeatureReader(world), world, { port: 0 });
  world.arrive({ delay: 8 });
});
afterEach(() => server.close());

const body = JSON.stringify({ entity_type: "airport", entity_id: "JFK", feature_names: ["origin_delays:last_delay"] });
async function ask(): Promise<any> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body };
  return (await fetch(`${server.url}/features`, init)).json();
}

/** For as many targets as there are kept, by heads that are too long to be. */
async function askForOthers(): Promise<void> {
  const socket = connect(server.port, "127.0.0.1");
  const end = `traceparent: ${"1".repeat(1024)}\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"entities":{}}`;
  const targets = Array.from({ length: 1000 }, (_, i) => `/services/s${i}/vector`);
  socket.write(targets.map((target) => `POST ${target} HTTP/1.1\r\nhost: x\r\n${end}`).join(""));
  let answers = 0;
  for await (const chunk of socket) {
    answers += (chunk as Buffer).toString("latin1").split("SERVICE_UNKNOWN").length - 1;
    if (answers >= 1000) break;
  }
  expect(answers).toBe(1000);
}

async function move(version: number): Promise<void> {
  const kind = { action: "promote", kind: "view", by: "ada", keepMicros: HOUR as never } as const;
  await world.registry.moveAlias({ ...kind, target: `origin_delays@${version}` });
  world.revisionNumber++;
}

it("are answered anew once definitions have changed, though their meanings were let go meanwhile", async () => {
  let kept = 0;
  const onServed = (message: unknown): void => void (kept += Number((message as { isKept: boolean }).isKept));
  diagnostics.served.subscribe(onServed);
  try {
    await move(2);
    for (let i = 0; i < 4; i++) expect((await ask()).features).toEqual({ "origin_delays:last_delay": 8 });
    expect(kept).toBeGreaterThan(0);
    await askForOthers();
    await move(1);
    for (let i = 0; i < 3; i++) expect((await ask()).error.code).toBe("FEATURE_UNKNOWN");
    await move(2);
    world.arrive({ delay: 9 });
    for (let i = 0; i < 3; i++) expect((await ask()).features).toEqual({ "origin_delays:last_delay": 9 });
  } finally {
    diagnostics.served.unsubscribe(onServed);
  }
});

/** The age of what was read, in answers whose body has no place for it; `test/platform/workers.test.ts` has it grow. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../src/serve/http.ts";
import type { ServedView } from "../../src/serve/ports.ts";
import { experimentDefinitions, unitsOfEach } from "./experiment-world.ts";
import { START, type World } from "./served-world.ts";
import { useServer } from "./server-in-test.ts";
import { BareClient, encodeCommand, useRespDoor } from "./resp/resp-in-test.ts";

/** As a worker sees it: as of a moment of the owner's. */
function snapshot(world: World, view: string, version: number, snapshotTime: number | null): void {
  const served = world.view(view, version) as ServedView & { snapshotTime?: Micros | null };
  served.snapshotTime = snapshotTime as Micros | null;
}

describe("the head of an answer on Feast's wire", () => {
  const http = useServer();
  let ordinary: HttpServer;
  beforeEach(async () => {
    ordinary = await openHttpServer(createFeatureReader(http.world), http.world, { port: 0, hotPath: false });
  });
  afterEach(() => ordinary.close());

  const entities = { airport: ["JFK"], origin: ["JFK"], destination: ["LAX"] };
  const rows = (count: number): unknown => ({
    feature_service: "delay_model",
    entities: Object.fromEntries(Object.entries(entities).map(([name, [value]]) => [name, Array(count).fill(value)])),
  });
  async function ages(body: unknown): Promise<(string | null)[]> {
    const answers = [http.server.url, ordinary.url].map((url) =>
      fetch(`${url}/get-online-features`, { method: "POST", body: JSON.stringify(body) }),
    );
    return (await Promise.all(answers)).map(({ headers }) => headers.get("x-onefold-snapshot-age-ms"));
  }

  it("has the age of the oldest view, from either door, of few rows and of many", async () => {
    snapshot(http.world, "origin_delays", 2, START - 12_345);
    snapshot(http.world, "route_delays", 1, START - 2_000_000);
    for (const count of [1, 150, 600]) expect(await ages(rows(count))).toEqual(["2000", "2000"]);
    const features = ["origin_delays:mean_delay_1h"];
    expect(await ages({ features, entities: { airport: ["JFK", "BOS"] } })).toEqual(["12.345", "12.345"]);
  });

  it("says nothing where states are live, where nothing is read, and where nobody knows it of one view", async () => {
    expect(await ages(rows(2))).toEqual([null, null]);
    snapshot(http.world, "origin_delays", 2, START - 1);
    expect(await ages(rows(0))).toEqual([null, null]);
    snapshot(http.world, "route_delays", 1, null);
    expect(await ages(rows(2))).toEqual([null, null]);
  });
});

describe("WITHAGE", () => {
  const resp = useRespDoor({}, experimentDefinitions);
  const clients: BareClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.socket.destroy();
  });

  async function open(protocol: 2 | 3): Promise<(...args: string[]) => Promise<string>> {
    const client = await BareClient.open(resp.door.port);
    clients.push(client);
    const reply = async (...args: string[]): Promise<string> => {
      client.send(encodeCommand(args) + encodeCommand(["PING", "the end"]));
      return (await client.until("$7\r\nthe end\r\n")).slice(0, -"$7\r\nthe end\r\n".length);
    };
    await reply("HELLO", String(protocol));
    return reply;
  }
  const AGES = { 2: "$6\r\n12.345\r\n", 3: ",12.345\r\n" };
  const NO_AGES = { 2: "$-1\r\n", 3: "_\r\n" };
  const one = ["JFK", "JFK|LAX"];

  describe.each([2, 3] as const)("over RESP%i", (protocol) => {
    it("puts the age before what is answered without it, and nothing is given again with it", async () => {
      resp.world.isSampling = false;
      resp.world.arrive({ delay: 8 });
      const reply = await open(protocol);
      const commands = [
        ["FGET", "delay_model", ...one],
        ["FGETPACKED", "delay_model", ...one],
        ["FGET", "by_airport", ...one],
        ["FGETPACKED", "by_airport", ...one],
      ];
      for (const ages of [NO_AGES, AGES]) {
        if (ages === AGES) for (const view of VIEWS) snapshot(resp.world, ...view, START - 12_345);
        for (const command of commands) {
          const without = await reply(...command);
          for (let i = 0; i < 3; i++) {
            expect(await reply(...command, "WITHAGE")).toBe(`*2\r\n${ages[protocol]}${without}`);
            expect(await reply(...command)).toBe(without);
          }
        }
      }
      resp.world.clock.advanceTo((START + 1000) as Micros);
      expect(await reply(...commands[0]!, "withage")).toContain("13.345");
    });

    it("is of each vector of FMGET, kept ones too, and not of an error", async () => {
      resp.world.isSampling = false;
      for (const view of VIEWS) snapshot(resp.world, ...view, START - 12_345);
      const reply = await open(protocol);
      const { rich, plain } = unitsOfEach("by_airport");
      for (const service of ["delay_model", "by_airport"]) {
        const of = (unit: string): string[] => [unit, `${unit}|LAX`];
        const [first, second] = [await reply("FGET", service, ...of(rich)), await reply("FGET", service, ...of(plain))];
        for (let i = 0; i < 3; i++) {
          const many = await reply("FMGET", service, "3", ...of(rich), "JFK", "one part", ...of(plain), "WITHAGE");
          const error = /-REQUEST_INVALID [^\r]*\r\n/.exec(many)?.[0];
          const pair = (reply: string): string => `*2\r\n${AGES[protocol]}${reply}`;
          expect(many).toBe(`*3\r\n${pair(first)}${error}${pair(second)}`);
        }
      }
    });
  });

  it("stands with CONTEXT in any order, and is no option of FGETJSON, which has WITHMETA", async () => {
    const reply = await open(3);
    const { plain } = unitsOfEach("by_session");
    const context = ["CONTEXT", JSON.stringify({ session: plain })];
    const answer = await reply("FGET", "by_session", ...one, ...context, "WITHAGE");
    expect(answer.startsWith("*2\r\n_\r\n*2\r\n$13\r\ndelay_plain@1\r\n")).toBe(true);
    expect(await reply("FGET", "by_session", ...one, "WITHAGE", ...context)).toBe(answer);
    expect(await reply("FGETJSON", "delay_model", ...one, "CONTEXT", "{}", "WITHAGE")).toMatch(/^-ERR syntax error; /);
    expect(await reply("FGET", "delay_model", ...one, "WITHAGE", "more")).toMatch(/^-ERR syntax error; /);
  });
});

/** All that the services above read. */
const VIEWS: readonly (readonly [string, number])[] = [
  ["origin_delays", 1],
  ["origin_delays", 2],
  ["route_delays", 1],
];

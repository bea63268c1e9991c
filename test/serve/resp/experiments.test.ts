/** Experiments over RESP, byte for byte: values stand behind the version that was served. */
import { afterEach, describe, expect, it } from "vitest";
import { experimentDefinitions, unitsOfEach } from "../experiment-world.ts";
import { BareClient, encodeCommand, useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor({}, experimentDefinitions);
const units = unitsOfEach("by_airport");
const clients: BareClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.destroy();
});

async function open(): Promise<BareClient> {
  const client = await BareClient.open(resp.door.port);
  clients.push(client);
  return client;
}

/** The reply to one command, told by the reply to a PING behind it. */
async function reply(client: BareClient, ...args: string[]): Promise<string> {
  client.send(encodeCommand(args) + encodeCommand(["PING", "the end"]));
  return (await client.until("$7\r\nthe end\r\n")).slice(0, -"$7\r\nthe end\r\n".length);
}

const PLAIN = "$13\r\ndelay_plain@1\r\n";
const RICH = "$12\r\ndelay_rich@1\r\n";

describe("an experiment's name", () => {
  it("is answered by FGET with the version and its values, again and again", async () => {
    resp.world.isSampling = false;
    resp.world.arrive({ origin: units.plain, delay: 8 });
    resp.world.arrive({ origin: units.rich, delay: 4 });
    const client = await open();
    for (let i = 0; i < 3; i++) {
      expect(await reply(client, "FGET", "by_airport", units.plain, `${units.plain}|LAX`)).toBe(
        `*2\r\n${PLAIN}*1\r\n$1\r\n8\r\n`,
      );
      expect(await reply(client, "FGET", "by_airport", units.rich, `${units.rich}|LAX`)).toBe(
        `*2\r\n${RICH}*3\r\n$1\r\n1\r\n$1\r\n4\r\n$1\r\n1\r\n`,
      );
    }
    expect(resp.world.recorded.map(({ exposure }) => exposure?.unit)).toEqual(
      Array.from({ length: 3 }, () => [units.plain, units.rich]).flat(),
    );
  });

  it("is answered by FMGET with a pair in each place, errors in theirs", async () => {
    resp.world.arrive({ origin: units.rich, delay: 4 });
    const client = await open();
    expect(
      await reply(client, "FMGET", "by_airport", "2", units.rich, `${units.rich}|LAX`, units.plain, "only one part"),
    ).toMatch(/^\*2\r\n\*2\r\n\$12\r\ndelay_rich@1\r\n\*3\r\n(\$1\r\n\d\r\n){3}-REQUEST_INVALID [^\r]*\r\n$/);
  });

  it("is answered by FGETPACKED and FGETJSON with the version, too", async () => {
    resp.world.arrive({ origin: units.rich, delay: 4 });
    const client = await open();
    const packed = await reply(client, "FGETPACKED", "by_airport", units.rich, `${units.rich}|LAX`);
    expect(packed.startsWith(`*2\r\n${RICH}$25\r\n`)).toBe(true);
    const json = await reply(client, "FGETJSON", "by_airport", units.rich, `${units.rich}|LAX`);
    expect(JSON.parse(json.split("\r\n")[1]!)).toMatchObject({
      features: { route_arrivals_1h: 1, mean_delay_1h: 4, arrivals_1h: 1 },
      metadata: { experiment: "by_airport", variant: "delay_rich@1" },
    });
  });

  it("is answered by FVECTORS as over HTTP", async () => {
    const client = await open();
    const question = { entities: { airport: units.plain, route: [units.plain, "LAX"] } };
    const answer = await reply(client, "FVECTORS", "by_airport", JSON.stringify(question));
    expect(JSON.parse(answer.split("\r\n")[2]!)).toMatchObject({
      features: { mean_delay_1h: null },
      metadata: { experiment: "by_airport", variant: "delay_plain@1" },
    });
  });

  it("takes the unit of the request from CONTEXT", async () => {
    const client = await open();
    const { plain, rich } = unitsOfEach("by_session");
    const ask = (session: string): Promise<string> =>
      reply(client, "FGET", "by_session", "JFK", "JFK|LAX", "CONTEXT", JSON.stringify({ session }));
    expect(await ask(plain)).toBe(`*2\r\n${PLAIN}*1\r\n$-1\r\n`);
    expect(await ask(rich)).toMatch(/^\*2\r\n\$12\r\ndelay_rich@1\r\n\*3\r\n/);
    expect(await reply(client, "FGET", "by_session", "JFK", "JFK|LAX")).toMatch(/^-NULL_NOT_ALLOWED /);
  });

  it("is listed and described by FDESCRIBE", async () => {
    const client = await open();
    const listed = await reply(client, "FDESCRIBE");
    for (const name of ["delay_plain", "delay_rich", "by_airport", "by_session"])
      expect(listed).toContain(`\r\n${name}\r\n`);
    const described = await reply(client, "FDESCRIBE", "by_session");
    for (const part of ["experiment", "variants", "delay_rich@1", "route_arrivals_1h", "session"])
      expect(described).toContain(`\r\n${part}\r\n`);
  });
});

/** Keys as text, in a URL and as arguments of the Redis protocol: escaped where a key has several columns, and only there. */
import { expect, it } from "vitest";
import { openRespServer } from "../../src/serve/resp/server.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { BareClient, encodeCommand } from "./resp/resp-in-test.ts";
import { useServer } from "./server-in-test.ts";

const http = useServer();
const odd = "Zoe|x\\y";
const escaped = odd.replace(/[\\|]/g, "\\$&");

async function countOverHttp(entity: string, key: string, feature: string): Promise<unknown> {
  const { body } = await http.get(`/features/${entity}/${encodeURIComponent(key)}?names=${feature}`);
  return body.features[feature];
}

it("stands as it is where the key has one column, and is escaped where it has two", async () => {
  http.world.arrive({ origin: odd, destination: odd });
  const door = await openRespServer(createFeatureReader(http.world), http.world, "1.2.3", { port: 0 });
  const client = await BareClient.open(door.port);
  const overResp = async (airport: string, route: string): Promise<unknown[]> => {
    client.received = "";
    client.send(encodeCommand(["FGETJSON", "delay_model", airport, route]) + encodeCommand(["PING"]));
    const { arrivals_1h: airports, route_arrivals_1h: routes } = JSON.parse(
      /{.*}/.exec(await client.until("+PONG\r\n"))![0],
    ) as Record<string, unknown>;
    return [airports, routes];
  };
  try {
    expect(await countOverHttp("airport", odd, "origin_delays:arrivals_1h")).toBe(1);
    expect(await countOverHttp("airport", escaped, "origin_delays:arrivals_1h")).toBe(0);
    expect(await countOverHttp("route", `${escaped}|${escaped}`, "route_arrivals_1h")).toBe(1);
    expect(await overResp(odd, `${escaped}|${escaped}`)).toEqual([1, 1]);
    expect(await overResp(escaped, `${escaped}|${escaped}`)).toEqual([0, 1]);
  } finally {
    client.socket.destroy();
    await door.close();
  }
});

/** Runs the examples of docs/resp.md in order and compares every reply with the page. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageVersion } from "../../../src/base/version.ts";
import type { Definition, OnDemandDefinition, ServiceDefinition } from "../../../src/define/definition.ts";
import { createFeatureReader } from "../../../src/serve/feature-reader.ts";
import { splitInlineCommand } from "../../../src/serve/resp/inline-command.ts";
import { allCommands, openRespServer, type RespServer } from "../../../src/serve/resp/server.ts";
import { pushAsTheProduct } from "../push-as-the-product.ts";
import { createWorld, definitions } from "../served-world.ts";
import { type Decoded, DecodedError, decodeReplies } from "./decode-reply.ts";
import { BareClient, encodeCommand } from "./resp-in-test.ts";

/** The service of the page that takes request data. */
const overdue: OnDemandDefinition = {
  kind: "on-demand",
  name: "overdue",
  version: 1,
  inputs: [{ view: "origin_delays", version: 2, feature: "mean_delay_1h", as: "mean_delay_1h" }],
  request: [{ name: "delay", type: { name: "int64" }, nullable: false }],
  outputs: [{ name: "beyond_mean", type: { name: "float64" } }],
  compute: ({ mean_delay_1h: mean, delay }) => ({ beyond_mean: mean === null ? null : Number(delay) - Number(mean) }),
};
const gateModel: ServiceDefinition = {
  kind: "service",
  name: "gate_model",
  features: [
    { view: "origin_delays", version: 2, feature: "arrivals_1h", as: "arrivals_1h" },
    { view: "overdue", version: 1, feature: "beyond_mean", as: "beyond_mean" },
  ],
};
const all: readonly Definition[] = [...definitions, overdue, gateModel];

interface Example {
  readonly command: string;
  /** `resp2`, `resp3`: the reply as JSON; `error`, `status`: its line; `hex`: its bytes; `lines`: some of its lines. */
  readonly form: string;
  readonly reply: string;
}

const page = readFileSync(new URL("../../../docs/resp.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```redis\n([^`]*)\n```\n+```(?:json|text) (\w+)\n([^`]*)\n```/g)].map(
  ([, command, form, reply]): Example => ({ command: command!, form: form!, reply: reply! }),
);

let door: RespServer;
let client: BareClient;
beforeAll(async () => {
  const world = await createWorld(all);
  world.pushInstead = pushAsTheProduct(world);
  door = await openRespServer(createFeatureReader(world), world, packageVersion(), { port: 0, password: "sesame" });
  client = await BareClient.open(door.port);
});
afterAll(() => {
  client.socket.destroy();
  return door.close();
});

/** The reply to a command; the connection speaks the protocol that the last HELLO chose. */
async function replyTo(args: readonly string[]): Promise<Decoded> {
  if (args[0] === "QUIT") {
    client.call(...args);
    return decodeReplies(await client.untilClosed())[0]!;
  }
  client.send(encodeCommand(args) + encodeCommand(["ECHO", "the end"]));
  return decodeReplies(await client.until(/(?:\$7\r\nthe end|-NOAUTH [^\r]*)\r\n$/))[0]!;
}

function toJson(reply: Decoded): unknown {
  if (reply instanceof Map) return Object.fromEntries([...reply].map(([name, value]) => [name, toJson(value)]));
  if (Array.isArray(reply)) return reply.map(toJson);
  return reply instanceof DecodedError ? `-${reply.line}` : reply;
}

describe("docs/resp.md", () => {
  it.each(examples)("$command is replied to as the page says", async ({ command, form, reply }) => {
    const args = splitInlineCommand(command)!;
    const actual = await replyTo(args);
    switch (form) {
      case "resp2":
      case "resp3":
        return expect(toJson(actual)).toEqual(JSON.parse(reply));
      case "error":
        return expect(toJson(actual)).toBe(reply);
      case "hex":
        return expect(Buffer.from(actual as string, "latin1").toString("hex")).toBe(reply.replaceAll(/\s/g, ""));
      case "lines":
        return expect((actual as string).split("\r\n")).toEqual(expect.arrayContaining(reply.split("\n")));
      default:
        return expect(actual).toBe(reply);
    }
  });

  it("shows every command there is, with its syntax", () => {
    expect(examples.length).toBe(page.split("```redis\n").length - 1);
    const shown = examples.map(({ command }) => command.split(" ")[0]!.toLowerCase());
    const text = page.replaceAll("\\|", "|");
    const missing = [...allCommands().values()].filter(
      ({ name, syntax }) => !shown.includes(name) || !text.includes(`\`${`${name.toUpperCase()} ${syntax}`.trim()}\``),
    );
    expect(missing.map(({ name, syntax }) => `${name} ${syntax}`)).toEqual([]);
  });
});

/** The services that FDESCRIBE lists, each by a name that is answered with it. */
import { afterEach, expect, it } from "vitest";
import { plain } from "../experiment-world.ts";
import { definitions } from "../served-world.ts";
import { BareClient, encodeCommand, useRespDoor } from "./resp-in-test.ts";

const next = { ...plain, version: 2 };
const resp = useRespDoor({}, [...definitions, plain, next]);
let client: BareClient;
afterEach(() => {
  client.socket.destroy();
});

it("have their version in the name where the bare one means another", async () => {
  client = await BareClient.open(resp.door.port);
  client.send(encodeCommand(["FDESCRIBE"]) + encodeCommand(["PING", "the end"]));
  const listed = await client.until("$7\r\nthe end\r\n");
  for (const name of ["delay_plain@1", "delay_plain@2", "delay_model"]) expect(listed).toContain(`\r\n${name}\r\n`);
  expect(listed).not.toContain("\r\ndelay_plain\r\n");
});

/** Short replies are sent behind the reads of a turn, and do not wait for more than one long reply of others. */
import { expect, it } from "vitest";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import { SocketBytes } from "../../../src/serve/socket-bytes.ts";
import { BareClient, useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor();
const ROUNDS = 20;
const OTHERS = 8;

it("wait for one long reply of others at most", async () => {
  const { port } = resp.door;
  const short = await BareClient.open(port);
  const others = await Promise.all(Array.from({ length: OTHERS }, () => BareClient.open(port)));
  const events: string[] = [];
  const listen = (): void => void events.push("answered");
  const { send } = SocketBytes.prototype;
  SocketBytes.prototype.send = function (this: SocketBytes, bytes, length) {
    if (this.socket.localPort === port)
      events.push(this.socket.remotePort === short.socket.localPort ? "sent" : "long");
    return send.call(this, bytes, length);
  };
  diagnostics.served.subscribe(listen);
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      short.call("FGET", "delay_model", `J${round}`, "JFK|LAX");
      for (const other of others) other.call("ECHO", "x".repeat(8000));
      await Promise.all([short.until("\r\n"), ...others.map((other) => other.until("x\r\n"))]);
    }
  } finally {
    SocketBytes.prototype.send = send;
    diagnostics.served.unsubscribe(listen);
    for (const { socket } of [short, ...others]) socket.destroy();
  }
  const between = events.join(" ").matchAll(/answered((?: long)*) sent/g);
  const longs = Array.from(between, ([, text]) => text!.split("long").length - 1);
  expect(longs).toHaveLength(ROUNDS);
  expect(Math.max(...longs)).toBeLessThanOrEqual(1);
});

/** The commands, byte for byte, over a bare connection. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { BareClient, encodeCommand, useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor();
const open = useRespDoorClients(() => resp.door.port);

/** Opens connections, and destroys them after each test. */
function useRespDoorClients(port: () => number): () => Promise<BareClient> {
  const clients: BareClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.socket.destroy();
  });
  return async () => {
    const client = await BareClient.open(port());
    clients.push(client);
    return client;
  };
}

/** The reply to one command, told by the reply to a PING behind it. */
async function reply(client: BareClient, ...args: string[]): Promise<string> {
  client.send(encodeCommand(args) + encodeCommand(["PING", "the end"]));
  return (await client.until("$7\r\nthe end\r\n")).slice(0, -"$7\r\nthe end\r\n".length);
}

describe("FGET", () => {
  it("answers values in the service's order, in the types of either protocol", async () => {
    resp.world.arrive({ delay: 8 });
    resp.world.arrive({ delay: 3 });
    const client = await open();
    expect(await reply(client, "FGET", "delay_model", "JFK", "JFK|LAX")).toBe(
      "*4\r\n$1\r\n2\r\n$3\r\n5.5\r\n$1\r\n3\r\n$1\r\n2\r\n",
    );
    expect(await reply(client, "fget", "delay_model", "BOS", "JFK|LAX")).toBe(
      "*4\r\n$1\r\n0\r\n$-1\r\n$-1\r\n$1\r\n2\r\n",
    );
    await reply(client, "HELLO", "3");
    expect(await reply(client, "FGet", "delay_model", "JFK", "JFK|LAX")).toBe("*4\r\n:2\r\n,5.5\r\n:3\r\n:2\r\n");
    expect(await reply(client, "FGET", "delay_model", "BOS", "A|B")).toBe("*4\r\n:0\r\n_\r\n_\r\n:0\r\n");
  });

  it("takes keys in UTF-8 and with escaped parts", async () => {
    resp.world.arrive({ origin: "Zürich|\\", destination: "\u{1f680}" });
    const client = await open();
    expect(await reply(client, "FGET", "delay_model", "Zürich|\\", "Zürich\\|\\\\|\u{1f680}")).toMatch(
      /^\*4\r\n\$1\r\n1\r\n.*\$1\r\n1\r\n$/s,
    );
    client.send("*4\r\n$4\r\nFGET\r\n$11\r\ndelay_model\r\n$1\r\n\xff\r\n$3\r\nA|B\r\n");
    expect(await client.until("\r\n")).toBe("-REQUEST_INVALID airport is not UTF-8 text\r\n");
  });

  it.each([
    [
      ["FGET"],
      "-ERR wrong number of arguments for 'fget' command; write FGET service key [key ...] [CONTEXT json] [WITHAGE]\r\n",
    ],
    [
      ["FGET", "delay_mode", "a", "b"],
      '-SERVICE_UNKNOWN there is no service "delay_mode"; candidates: delay_model\r\n',
    ],
    [["FGET", "delay_model", "JFK"], /^-REQUEST_INVALID delay_model reads 2 entities.*airport, route, in this order/],
    [["FGET", "delay_model", "JFK", "A|B", "more"], /^-REQUEST_INVALID delay_model reads 2 entities/],
    [["FGET", "delay_model@1", "JFK"], /^-REQUEST_INVALID delay_model@1 reads 2 entities, got 1 argument;/],
    [["FMGET", "delay_model@1", "2", "JFK"], /^-REQUEST_INVALID 2 vectors of delay_model@1 take 4 keys, got 1;/],
    [["FGET", "delay_model", "JFK", "A"], /^-REQUEST_INVALID a key of 1 parts for route/],
    [
      ["FMGET", "delay_model", "1", "JFK", "A|B", "BOS"],
      /^-REQUEST_INVALID 1 vector of delay_model takes 2 keys, got 3;/,
    ],
    [
      ["FMGET", "delay_model", "1", "JFK", "A|B", "BOS", "A|B", "CONTEXT", "{}"],
      /^-REQUEST_INVALID 1 vector of delay_model takes 2 keys, got 4;/,
    ],
    [
      ["FGET", "delay_model", "JFK", "A|B", "CONTEXT"],
      "-ERR syntax error; write FGET service key [key ...] [CONTEXT json] [WITHAGE]\r\n",
    ],
    [
      ["fget", "delay_model", "JFK", "A|B", "CONTEXT", "{}", "WITHTOKEN"],
      "-ERR syntax error; write FGET service key [key ...] [CONTEXT json] [WITHAGE]\r\n",
    ],
    [["FDESCRIBE", "delay_model", "x"], "-ERR syntax error; write FDESCRIBE [service]\r\n"],
    [["AUTH", "a", "b", "c"], "-ERR syntax error; write AUTH [username] password\r\n"],
    [["FGET", "delay_model", "JFK", "A|B", "CONTEXT", "{x}"], /^-JSON_INVALID not valid JSON: .*line 1, column 2/],
    [["FGET", "delay_model", "JFK", "A|B", "CONTEXT", '{"x": 1}'], /^-REQUEST_INVALID .*no request data "x"/],
    [["FGET", "delay_model", "k".repeat(1025), "A|B"], /^-KEY_TOO_LONG /],
    [["FGET", "delay_model", "JFK", "|".repeat(1_000_000)], /^-KEY_TOO_LONG an entity key of 1000000 bytes/],
  ])("%j is an error", async (args, expected) => {
    const answer = await reply(await open(), ...args);
    expect(answer).toEqual(typeof expected === "string" ? expected : expect.stringMatching(expected));
    expect(answer.indexOf("\r\n")).toBe(answer.length - 2);
  });

  it("says no more of the server's own faults than that there was one, and tells its operator", async () => {
    resp.world.record = () => {
      throw new Error("a secret of the house");
    };
    const client = await open();
    expect(await reply(client, "FGET", "delay_model", "JFK", "A|B")).toBe(
      "-INTERNAL the server failed at this command\r\n",
    );
    expect(resp.failures).toMatchObject([{ error: { message: "a secret of the house" }, command: "fget" }]);
    expect(await reply(client, "PING")).toBe("+PONG\r\n");
  });
});

describe("FMGET", () => {
  it("answers one array for each set of keys, and what is wrong with one in its place", async () => {
    resp.world.arrive({ delay: 8 });
    const client = await open();
    const keys = ["JFK", "JFK|LAX", "JFK", "no route", "BOS", "A|B"];
    expect(await reply(client, "FMGET", "delay_model", "3", ...keys)).toMatch(
      /^\*3\r\n\*4\r\n\$1\r\n1\r\n.*\r\n-REQUEST_INVALID a key of 1 parts [^\r]*\r\n\*4\r\n\$1\r\n0\r\n\$-1\r\n\$-1\r\n\$1\r\n0\r\n$/s,
    );
  });

  it.each([
    [["FMGET", "delay_model", "0", "a"], /^-REQUEST_INVALID a count of vectors/],
    [["FMGET", "delay_model", "5001", "a"], /^-REQUEST_INVALID a count of vectors/],
    [["FMGET", "delay_model", "x", "a"], /^-REQUEST_INVALID a count of vectors/],
    [["FMGET", "delay_model", "2", "a", "b|c", "d"], /^-REQUEST_INVALID 2 vectors of delay_model take 4 keys, got 3/],
    [["FMGET", "delay_model", "1", "a", "b|c", "CONTEXT", "[]"], /^-REQUEST_INVALID CONTEXT has 0 elements for 1/],
  ])("%j is an error", async (args, expected) => {
    expect(await reply(await open(), ...args)).toMatch(expected);
  });

  it("of many vectors lets other connections have their turn", async () => {
    const [many, other] = [await open(), await open()];
    const keys = Array.from({ length: 5000 }, (_, i) => [`A${i}`, `A${i}|B`]).flat();
    many.send(encodeCommand(["FMGET", "delay_model", "5000", ...keys]) + encodeCommand(["ECHO", "many"]));
    await many.until(/^\*5000\r\n/);
    other.call("PING");
    await other.until("+PONG\r\n");
    expect(many.received).not.toContain("many");
    await many.until("$4\r\nmany\r\n");
  });
});

describe("FGETPACKED", () => {
  it("packs values as float64s and nulls as bits", async () => {
    resp.world.arrive({ delay: 8 });
    const client = await open();
    const packed = Buffer.from(await reply(client, "FGETPACKED", "delay_model", "BOS", "JFK|LAX"), "latin1");
    expect(packed.toString("latin1", 0, 5)).toBe("$33\r\n");
    const bytes = packed.subarray(5, 38);
    expect([0, 1, 2, 3].map((i) => bytes.readDoubleLE(8 * i))).toEqual([0, Number.NaN, Number.NaN, 1]);
    expect(bytes[32]).toBe(0b0110);
  });
});

describe("FPUSH", () => {
  it("counts, and gives the reason of each row that was rejected", async () => {
    const client = await open();
    expect(await reply(client, "FPUSH", "arrivals", '{"delay": 3}')).toBe(
      "*8\r\n$8\r\naccepted\r\n:1\r\n$10\r\nduplicates\r\n:0\r\n$8\r\nrejected\r\n:0\r\n$10\r\nrejections\r\n*0\r\n",
    );
    await reply(client, "HELLO", "3");
    const ndjson = '{"delay": 3}\n{"delay": "late"}\n{nonsense}';
    expect(await reply(client, "FPUSH", "arrivals", ndjson, '[{"delay": 1}, {"delay": 2.5}]')).toMatch(
      /^%4\r\n\$8\r\naccepted\r\n:2\r\n.*rejected\r\n:3\r\n.*\*3\r\n%4\r\n\$3\r\nrow\r\n:1\r\n.*TYPE_MISMATCH.*:2\r\n.*JSON_INVALID.*:4\r\n/s,
    );
    expect(await reply(client, "FGET", "delay_model", "JFK", "JFK|LAX")).toMatch(/^\*4\r\n:3\r\n/);
  });

  it("is an error where there is nothing but one rejected event, or no event", async () => {
    const client = await open();
    expect(await reply(client, "FPUSH", "arrivals", '{"delay": "late"}')).toBe(
      '-TYPE_MISMATCH "late" is not of type int64\r\n',
    );
    expect(await reply(client, "FPUSH", "arrival", '{"delay": 1}')).toMatch(/^-SOURCE_UNKNOWN .*candidates: arrivals/);
    expect(await reply(client, "FPUSH", "arrivals", '{"delay": 1}', "nonsense")).toMatch(/^-JSON_INVALID /);
    expect(await reply(client, "FPUSH", "arrivals", "7")).toMatch(/^-REQUEST_INVALID /);
    expect(await reply(client, "FGET", "delay_model", "JFK", "JFK|LAX")).toMatch(/^\*4\r\n\$1\r\n0/);
  });

  it("begins pushes that follow one another together, and answers in order; what comes behind sees them", async () => {
    const push = resp.world.push;
    let underWay = 0;
    let most = 0;
    resp.world.pushInstead = async (...args) => {
      most = Math.max(most, ++underWay);
      const delay = (args[1][0] as { delay: number }).delay;
      await new Promise((resolve) => {
        setTimeout(resolve, 20 - delay);
      });
      underWay--;
      resp.world.pushInstead = null;
      return push.call(resp.world, ...args);
    };
    const client = await open();
    const pushes = Array.from({ length: 10 }, (_, i) => encodeCommand(["FPUSH", "arrivals", `{"delay": ${i}}`]));
    client.send(pushes.join("") + encodeCommand(["FGET", "delay_model", "JFK", "JFK|LAX"]));
    const answer = await client.until(/\*4\r\n(?:\$[^\r]*\r\n[^\r]*\r\n){4}$/);
    expect(answer.split("accepted\r\n:1\r\n")).toHaveLength(11);
    expect(answer).toMatch(/\*4\r\n\$2\r\n10\r\n/);
    expect(most).toBe(10);
  });
});

describe("replies", () => {
  /** Pushes that take a while. */
  function slowPushes(): void {
    const push = resp.world.push;
    resp.world.pushInstead = async (source, rows, faults) => {
      await sleep(100);
      resp.world.pushInstead = null;
      return push.call(resp.world, source, rows, faults);
    };
  }

  it("come in order, whatever is wrong with a command behind a push", async () => {
    for (const behind of [["NOTHING"], ["FGET"], ["FGET", "delay_model", "JFK", "A"], ["PING"]]) {
      slowPushes();
      const client = await open();
      client.send(encodeCommand(["FPUSH", "arrivals", '{"delay": 1}']) + encodeCommand(behind));
      expect(await client.until(/accepted[^]*(?:[-+][^\r]*\r\n)$|^[-+][^]*rejections\r\n\*0\r\n$/)).toMatch(/^\*8\r\n/);
    }
  });

  it("come to an error of the protocol behind a push, too", async () => {
    slowPushes();
    const client = await open();
    client.send(`${encodeCommand(["FPUSH", "arrivals", '{"delay": 1}'])}*x\r\n`);
    expect(await client.untilClosed()).toMatch(/^\*8\r\n[^]*\*0\r\n-ERR Protocol error: invalid multibulk length\r\n$/);
  });

  it("come to all that arrives in pieces while a push is under way", async () => {
    slowPushes();
    const client = await open();
    client.call("FPUSH", "arrivals", '{"delay": 1}');
    for (let i = 0; i < 5; i++) {
      await sleep(10);
      client.call("ECHO", String(i));
    }
    expect(await client.until("$1\r\n4\r\n")).toMatch(/0\r\n\$1\r\n1\r\n\$1\r\n2\r\n\$1\r\n3\r\n\$1\r\n4\r\n$/);
  });
});

describe("connections", () => {
  it("answer what clients ask when they connect", async () => {
    const client = await open();
    expect(await reply(client, "PING", "hi")).toBe("$2\r\nhi\r\n");
    expect(await reply(client, "CLIENT", "SETNAME", "worker-1")).toBe("+OK\r\n");
    expect(await reply(client, "CLIENT", "GETNAME")).toBe("$8\r\nworker-1\r\n");
    expect(await reply(client, "CLIENT", "SETNAME", "two words")).toMatch(/^-ERR Client names cannot/);
    expect(await reply(client, "CLIENT", "SETINFO", "LIB-NAME", "x")).toBe("+OK\r\n");
    expect(await reply(client, "CLIENT", "ID")).toMatch(/^:\d+\r\n$/);
    expect(await reply(client, "CLIENT", "KILL", "x")).toBe(
      "-ERR unknown subcommand 'KILL'; write CLIENT GETNAME, CLIENT ID, CLIENT SETINFO attribute value, CLIENT SETNAME name\r\n",
    );
    expect(await reply(client, "CLIENT", "SETNAME")).toBe(
      "-ERR wrong number of arguments for 'client|setname' command; write CLIENT SETNAME name\r\n",
    );
    expect(await reply(client, "CONFIG", "SET", "x", "y")).toMatch(/^-ERR unknown subcommand 'SET'; write CONFIG GET /);
    expect(await reply(client, "COMMAND", "HELP")).toMatch(/^-ERR unknown subcommand 'HELP'; write COMMAND COUNT, /);
    expect(await reply(client, "SELECT", "0")).toBe("+OK\r\n");
    expect(await reply(client, "SELECT", "1")).toBe("-ERR DB index is out of range\r\n");
    expect(await reply(client, "CONFIG", "GET", "save", "append*")).toBe(
      "*4\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$4\r\nsave\r\n$0\r\n\r\n",
    );
    expect(await reply(client, "INFO")).toContain("\r\nloading:0\r\n");
    expect(await reply(client, "COMMAND", "COUNT")).toMatch(/^:\d+\r\n$/);
    expect(await reply(client, "COMMAND", "INFO", "fget", "nothing")).toMatch(/^\*2\r\n\*10\r\n\$4\r\nfget\r\n:-2\r\n/);
    expect(await reply(client, "HELLO")).toMatch(
      /^\*14\r\n\$6\r\nserver\r\n\$7\r\nonefold\r\n\$7\r\nversion\r\n\$5\r\n1\.2\.3\r\n/,
    );
    expect(await reply(client, "HELLO", "3", "SETNAME", "x")).toMatch(/^%7\r\n.*\$5\r\nproto\r\n:3\r\n/s);
    expect(await reply(client, "HELLO", "4")).toBe("-NOPROTO unsupported protocol version\r\n");
    expect(await reply(client, "CLIENT", "GETNAME")).toBe("$1\r\nx\r\n");
    expect(await reply(client, "RESET")).toBe("+RESET\r\n");
    expect(await reply(client, "CLIENT", "GETNAME")).toBe("$-1\r\n");
  });

  it("answer unknown commands as Redis does, and say which there are", async () => {
    const client = await open();
    const answer = await reply(client, "GETT", "a", "b\r\nc");
    expect(answer).toMatch(
      /^-ERR unknown command 'GETT', with args beginning with: 'a' 'b\?\?c' ; the commands here are /,
    );
    // Whatever was sent, the names are not cut off.
    const long = await reply(client, "GET".repeat(100), ...Array.from({ length: 50 }, () => "x".repeat(500)));
    const names = (await reply(client, "COMMAND", "LIST")).match(/^[a-z]+(?=\r$)/gm)!;
    expect(names.length).toBeGreaterThan(15);
    for (const line of [answer, long]) {
      expect(line.split("the commands here are ")[1]).toBe(`${names.join(", ").toUpperCase()}\r\n`);
    }
  });

  it("say that they are loading until all is ready", async () => {
    resp.world.ready = false;
    expect(await reply(await open(), "INFO", "persistence")).toContain("\r\nloading:1\r\n");
  });

  it("take inline commands", async () => {
    resp.world.arrive({ delay: 8 });
    const client = await open();
    client.send('\r\nFGET delay_model JFK "JFK|LAX"\nPING\r\n');
    expect(await client.until("+PONG\r\n")).toBe("*4\r\n$1\r\n1\r\n$1\r\n8\r\n$1\r\n8\r\n$1\r\n1\r\n+PONG\r\n");
  });

  it("end with QUIT, and answer all that came before", async () => {
    const client = await open();
    client.send(encodeCommand(["PING"]) + encodeCommand(["QUIT"]) + encodeCommand(["PING"]));
    expect(await client.untilClosed()).toBe("+PONG\r\n+OK\r\n");
  });

  it("that are ended by the client are answered to the end", async () => {
    const client = await open();
    client.send(encodeCommand(["FPUSH", "arrivals", '{"delay": 1}']) + encodeCommand(["PING"]) + "*1\r\n$4\r\nPI");
    client.socket.end();
    expect(await client.untilClosed()).toMatch(/accepted\r\n:1\r\n.*\+PONG\r\n$/s);
  });

  it("that a browser was made to open carry out nothing", async () => {
    const client = await open();
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nFPUSH arrivals '{\"delay\": 1}'\r\n");
    expect(await client.untilClosed()).toBe("");
    expect(await reply(await open(), "FGET", "delay_model", "JFK", "JFK|LAX")).toMatch(/^\*4\r\n\$1\r\n0/);
  });

  it("end after an error of the protocol, and say which", async () => {
    const client = await open();
    client.send(`${encodeCommand(["PING"])}*1\r\n$x\r\n${encodeCommand(["PING"])}`);
    expect(await client.untilClosed()).toBe("+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
  });
});

describe("a defect in looking for what was answered before", () => {
  it("ends the connection that it happened on, and no other", async () => {
    const [client, other] = [await open(), await open()];
    const { findAnswer } = resp.reader;
    resp.reader.findAnswer = () => {
      throw new Error("a defect");
    };
    client.call("PING");
    expect(await client.untilClosed()).toBe("");
    expect(resp.failures).toMatchObject([{ error: { message: "a defect" } }]);
    resp.reader.findAnswer = findAnswer;
    expect(await reply(other, "PING")).toBe("+PONG\r\n");
  });
});

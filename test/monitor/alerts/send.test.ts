/** One attempt to deliver, to real receivers: good, failing, slow and redirecting ones, and programs. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { command, webhook } from "../../../src/index.ts";
import type { DestinationDefinition } from "../../../src/define/alert-definition.ts";
import { testNotice } from "../../../src/monitor/alerts/notice.ts";
import { DeliveryFailure, send } from "../../../src/monitor/alerts/send.ts";
import { signature, webhookRequest } from "../../../src/monitor/alerts/webhook.ts";
import { openReceiver, type Receiver, until } from "./receiver.ts";

const NOW = 1_700_000_000_000_000;
const notice = testNotice("notice-1", NOW);
const environment: Record<string, string> = { SECRET: "a secret of words", EMPTY: "" };
const house = { fetch, environment: (name: string) => environment[name], now: () => NOW };

let receiver: Receiver;
beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(() => receiver.close());

const attempt = (destination: DestinationDefinition, signal = new AbortController().signal): Promise<unknown> =>
  send(destination, notice, house, signal).then(
    () => "delivered",
    (error: unknown) => error,
  );

describe("a webhook", () => {
  it("gets the notice with its id, its time and its signature", async () => {
    const to = webhook("to", { url: `${receiver.url}/hook?team=ml`, secret: { env: "SECRET" } });
    expect(await attempt(to)).toBe("delivered");
    const [{ path, headers, body, json }] = receiver.received as [Receiver["received"][0]];
    expect(path).toBe("/hook?team=ml");
    expect(json).toEqual(JSON.parse(JSON.stringify(notice)));
    expect(headers).toMatchObject({ "webhook-id": "notice-1", "webhook-timestamp": "1700000000" });
    // As docs/alerts.md has receivers check it.
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const expected = createHmac("sha256", environment["SECRET"]!).update(signed).digest("base64");
    const [version, given] = String(headers["webhook-signature"]).split(",");
    expect(version).toBe("v1");
    expect(timingSafeEqual(Buffer.from(given!), Buffer.from(expected))).toBe(true);
  });

  it("signs as Standard Webhooks does", () => {
    // The example of the specification's libraries.
    const [secret, id] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"];
    expect(signature(secret, id, "1614265330", '{"test": 2432232314}')).toBe(
      "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
  });

  it("gets what Slack accepts where its template says so, with Slack's three characters escaped", () => {
    const text = "[WARNING] <a> & b";
    const found = [{ ...FOUND, detail: { worst: "<JFK>" } }];
    const { body } = webhookRequest("slack", { ...notice, event: "firing", text, found }, null, NOW);
    expect(JSON.parse(body)).toEqual({
      text: '[WARNING] &lt;a&gt; &amp; b\nsince 2023-11-14T22:13:20Z\n`{"worst":"&lt;JFK&gt;"}`',
    });
  });

  it.each([
    [500, "it answered 500", 0],
    [404, "it answered 404", 0],
    [302, "it answered 302, which leads elsewhere: name the address that takes notices", 0],
  ])("that answers %i has not taken it", async (status, message, askedMicros) => {
    receiver.answer = (response) => void response.writeHead(status, { location: `${receiver.url}/elsewhere` }).end();
    expect(await attempt(webhook("to", { url: receiver.url }))).toMatchObject({ message, askedMicros });
    expect(receiver.received).toHaveLength(1);
  });

  it("may ask to be left alone for a while", async () => {
    receiver.answer = (response) => void response.writeHead(429, { "retry-after": "120" }).end("slow down");
    expect(await attempt(webhook("to", { url: receiver.url }))).toMatchObject({ askedMicros: 120e6 });
  });

  it("that does not answer in time has not taken it", async () => {
    receiver.answer = () => {};
    const error = await attempt(webhook("to", { url: receiver.url, timeout: "100ms" }));
    expect(error).toBeInstanceOf(DeliveryFailure);
    expect(error).toMatchObject({ message: "no answer within 0.1 s" });
  });

  it("has taken it once its status says so, though its answer has no end", async () => {
    receiver.answer = (response) => void response.writeHead(200).write("...");
    expect(await attempt(webhook("to", { url: receiver.url }))).toBe("delivered");
  });

  it("that is not there, or whose secret is not, has not taken it; no secret is told", async () => {
    const gone = await openReceiver();
    await gone.close();
    expect(await attempt(webhook("to", { url: gone.url }))).toMatchObject({
      message: "the connection failed (ECONNREFUSED)",
    });
    for (const env of ["NO_SUCH", "EMPTY"]) {
      expect(await attempt(webhook("to", { url: receiver.url, secret: { env } }))).toMatchObject({
        message: `the environment variable ${env} is not set at the server`,
      });
    }
    environment["BAD_URL"] = "hooks.example.com/T00/B00/XXXX";
    const error = (await attempt(webhook("to", { url: { env: "BAD_URL" } }))) as Error;
    expect(error.message).not.toContain("XXXX");
    expect(receiver.received).toHaveLength(0);
  });
});

const FOUND = {
  kind: "drift",
  subject: {},
  measure: "psi",
  value: 1,
  threshold: null,
  p_value: null,
  adjusted_p_value: null,
  samples: 1,
  detail: {},
};

describe("a command", () => {
  it("gets the notice on stdin and its id in the environment, and no shell reads its arguments", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-command-"));
    const out = join(folder, "out.json");
    const script = join(folder, "take.cjs");
    await writeFile(
      script,
      `const text = require("fs").readFileSync(0, "utf8");
       require("fs").writeFileSync(process.argv[2], JSON.stringify({ notice: JSON.parse(text), argv: process.argv.slice(3), id: process.env.ONEFOLD_NOTICE_ID }));`,
    );
    const run = [process.execPath, script, out, "$(touch /tmp/x); a b", "*"];
    expect(await attempt(command("to", { run }))).toBe("delivered");
    expect(JSON.parse(await readFile(out, "utf8"))).toEqual({
      notice: JSON.parse(JSON.stringify(notice)),
      argv: ["$(touch /tmp/x); a b", "*"],
      id: "notice-1",
    });
  });

  it("that fails, is not there or ends without reading is told of with what it said", async () => {
    const run = (code: string): Promise<unknown> => attempt(command("to", { run: [process.execPath, "-e", code] }));
    expect(await run('console.error("no pager"); process.exitCode = 3')).toMatchObject({
      message: "it ended with 3: no pager",
    });
    expect(await attempt(command("to", { run: ["/no/such/program"] }))).toMatchObject({
      message: "/no/such/program cannot be started (ENOENT)",
    });
    expect(await run("process.stdin.destroy()")).toBe("delivered");
  });

  it("that takes too long is ended, with what it has started", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-command-"));
    const pids = join(folder, "pids");
    const code = `const { spawn } = require("child_process"); const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
      require("fs").writeFileSync(${JSON.stringify(pids)}, process.pid + " " + child.pid); setInterval(() => {}, 1000);`;
    const stopping = new AbortController();
    const sent = attempt(command("to", { run: [process.execPath, "-e", code], timeout: "10m" }), stopping.signal);
    const written = (): Promise<string> => readFile(pids, "utf8").catch(() => "");
    await until(async () => (await written()).split(" ").length === 2, "the program");
    stopping.abort();
    expect(await sent).toMatchObject({ message: "the server is stopping" });
    for (const pid of (await written()).split(" ")) await until(() => !isAlive(Number(pid)), "its end");
    expect(
      await attempt(command("to", { run: [process.execPath, "-e", "setInterval(() => {}, 9)"], timeout: "50ms" })),
    ).toMatchObject({ message: "it did not end within 0.05 s" });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // One whose parent has not taken note of its end is dead all the same.
    return process.platform !== "linux" || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

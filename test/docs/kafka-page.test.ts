/** The example of docs/kafka.md, over a real Kafka and a real Redis, by the commands that the page gives. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../../src/ingest/kafka/settings.ts";
import { cliPath } from "../cli/run-cli.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { startRedis } from "../services/redis.ts";

const describeWithKafka = await describeWhere("kafka");
const page = readFileSync(new URL("../../docs/kafka.md", import.meta.url), "utf8");
const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-page-"));
const children: ChildProcess[] = [];

afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

function block(language: string, holding: string): string {
  const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  return blocks.find(([, of, text]) => of === language && text!.includes(holding))![2]!;
}

describeWithKafka("docs/kafka.md", () => {
  it("shows definitions and commands that give the vector that it shows", { timeout: 240_000 }, async () => {
    const kafka = await shared("kafka");
    const redis = await startRedis();
    const connection = new KafkaConnection(kafkaSettings({ brokers: [kafka] }));
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "onefold"), `#!/bin/sh\nexec "${process.execPath}" "${cliPath}" "$@"\n`, { mode: 0o755 });
    writeFileSync(join(folder, "features.ts"), block("ts", 'kafka: "shop-payments"'));
    const lines = block("sh", "onefold worker").split("\n");
    const command = (name: string): string => lines.find((line) => line.startsWith(name))!.replace(/ {2,}#.*$/, "");
    const addresses = [command("export ONEFOLD_KAFKA"), command("export ONEFOLD_ONLINE")].join("\n");
    const setting = addresses.replace("127.0.0.1:9092", kafka).replace("redis://127.0.0.1:6379", redis.url);
    const run = (script: string): ChildProcess => {
      const child = spawn("sh", ["-c", `${setting}\n${script}`], {
        cwd: folder,
        env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
        stdio: ["ignore", "pipe", "pipe"],
      });
      children.push(child);
      return child;
    };
    const urlOf = async (script: string): Promise<{ readonly child: ChildProcess; readonly url: string }> => {
      const child = run(`exec ${script.replace(/--port \d+/, "")} --port 0 --json`);
      let printed = "";
      for (const stream of [child.stdout!, child.stderr!])
        stream.on("data", (text: Buffer) => (printed += String(text)));
      await expect.poll(() => /"url":"/.test(printed) || child.exitCode !== null, { timeout: 60_000 }).toBe(true);
      expect(child.exitCode, printed).toBeNull();
      return { child, url: /"url":"([^"]+)"/.exec(printed)![1]! };
    };

    const records = block("json", '"p1"').trimEnd().split("\n");
    const unfit = run("onefold apply");
    let refusal = "";
    unfit.stderr!.on("data", (text: Buffer) => (refusal += String(text)));
    await once(unfit, "exit");
    expect(refusal).toContain("KAFKA_TOPIC_UNFIT: source payments reads topic shop-payments, and there is none");
    await connection.createTopic({ name: "shop-payments", partitionCount: 1, replicas: 1, configs: {} });
    const [exitCode] = (await once(run(command("onefold apply")), "exit")) as [number];
    expect(exitCode).toBe(0);
    await connection.send(
      records.map((text) => ({
        topic: "shop-payments",
        partition: 0,
        key: null,
        value: Buffer.from(text),
        headers: new Map<string, string>(),
      })),
    );
    const worker = await urlOf(command("onefold worker"));
    const server = await urlOf(command("onefold serve"));
    const shown = JSON.parse(/is `(\{ "payments".*?\})`/.exec(page)![1]!) as object;
    const ask = async (): Promise<unknown> => {
      const body = JSON.stringify({ entities: { user_id: "ada", shop_id: "north" } });
      const response = await fetch(`${server.url}/services/fraud/vector`, { method: "POST", body });
      return ((await response.json()) as { features?: unknown }).features;
    };
    await expect.poll(ask, { timeout: 30_000 }).toEqual(shown);
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    expect(metrics).toContain("onefold_worker_duplicate_events_total 1");
    worker.child.kill("SIGTERM");
    expect(await once(worker.child, "exit")).toEqual([0, null]);
    await connection.close();
    await redis.close();
  });

  it("names the topics' settings, headers and metrics that there are", () => {
    const sources = ["record-stamp", "dead-letter-topic", "topic-setup"].map((name) =>
      readFileSync(new URL(`../../src/ingest/kafka/${name}.ts`, import.meta.url), "utf8"),
    );
    const headers = sources.join("\n").match(/"onefold-[a-z-]+"/g)!;
    for (const header of headers) expect(page).toContain(header.slice(1, -1));
    expect(headers.length).toBeGreaterThan(6);
  });
});

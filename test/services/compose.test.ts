/**
 * compose.yaml starts what `npm run services` does: the same components, addresses and settings. What the images make of
 * them is not tested: there need not be Docker.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { describeWhere } from "./describe-where.ts";
import { freePort } from "./free-port.ts";
import { brokerProperties } from "./kafka.ts";
import { COMPONENTS } from "./locate.ts";
import { invoke, inNewFolder, startable } from "./program.ts";
import { root } from "./root.ts";
import { ServerProcess } from "./server-process.ts";

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports: readonly string[];
}

const text = readFileSync(join(root, "compose.yaml"), "utf8");
const { services } = parse(text) as { readonly services: Record<"redis" | "kafka" | "postgres", Service> };
const describeRedis = await describeWhere("redis", { ours: true });

describe("compose.yaml", () => {
  it("has the images that the tests would take, the same Kafka as the jars, and is open to this machine alone", () => {
    expect(Object.keys(services)).toEqual(["redis", "kafka", "postgres"]);
    for (const [name, { image, ports }] of Object.entries(services)) {
      expect(image).toBe(COMPONENTS[name as keyof typeof services].image);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
    }
    const pom = readFileSync(join(root, "scripts", "services", "kafka", "pom.xml"), "utf8");
    expect(services.kafka.image).toBe(`apache/kafka:${/<kafka\.version>([^<]+)</.exec(pom)![1]}`);
  });

  it("says in its head what to export", () => {
    const exported = new Map(Array.from(text.matchAll(/^# +export (\w+)=(.+)$/gm), ([, name, value]) => [name, value]));
    const addressOf = (name: keyof typeof services): string =>
      services[name].ports[0]!.split(":").slice(0, 2).join(":");
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = services.postgres.environment!;
    expect(exported).toEqual(
      new Map([
        [COMPONENTS.redis.variable, `redis://${addressOf("redis")}`],
        [COMPONENTS.kafka.variable, addressOf("kafka")],
        [
          COMPONENTS.postgres.variable,
          `postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${addressOf("postgres")}/${POSTGRES_DB}`,
        ],
      ]),
    );
  });

  it("gives Kafka the settings of the broker that tests start", () => {
    const settings = Object.entries(services.kafka.environment!).map(([name, value]) => {
      expect(name).toMatch(/^KAFKA_[A-Z_]+$/);
      return [name.slice("KAFKA_".length).toLowerCase().replaceAll("_", "."), String(value)];
    });
    expect(Object.fromEntries(settings)).toEqual({
      ...brokerProperties("127.0.0.1:9092", 9093),
      // Inside of a container it is asked from outside.
      listeners: "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
    });
  });
});

describeRedis("compose.yaml's Redis", () => {
  it("is started by its command", async () => {
    const [program, ...args] = services.redis.command!;
    const located = await startable("redis");
    await inNewFolder("redis", async (folder) => {
      const server = await ServerProcess.start({
        name: program!,
        ...invoke(located, {
          program: located.from === "installed" ? located.path : program!,
          args: [...args, "--bind", "127.0.0.1", "--port", String(await freePort()), "--dir", folder],
          folder,
        }),
        folder,
        isReady: (output) => output.includes("Ready to accept connections"),
      });
      await server.close();
    });
  });
});

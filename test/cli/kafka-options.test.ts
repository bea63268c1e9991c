import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { kafkaSettingsOf } from "../../src/cli/kafka-options.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

function fileOf(config: unknown): string {
  const file = join(folder, "kafka.json");
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  return file;
}

describe("the options of Kafka", () => {
  it("name brokers, a prefix and a session", () => {
    const options = { kafka: "one:9092, [::1]:9093", kafkaPrefix: "shop", session: "45s", partitions: 4, replicas: 3 };
    expect(kafkaSettingsOf(options)).toEqual({
      brokers: ["one:9092", "[::1]:9093"],
      prefix: "shop",
      sessionMs: 45_000,
      partitionCount: 4,
      replicas: 3,
    });
    for (const kafka of [undefined, " ", "one", "one:port", "one:1,two"]) {
      expect(() => kafkaSettingsOf(kafka === undefined ? {} : { kafka })).toThrow(
        expect.objectContaining({ code: "REQUEST_INVALID" }),
      );
    }
  });

  it("take TLS and a user from a file, and a password from the environment rather than the file", () => {
    const sasl = { mechanism: "SCRAM-SHA-512", username: "u", password: "in the file" };
    const kafkaConfig = fileOf({ tls: { caFile: "ca.pem" }, sasl });
    expect(kafkaSettingsOf({ kafka: "one:1", kafkaConfig })).toMatchObject({ tls: { caFile: "ca.pem" }, sasl });
    vi.stubEnv("ONEFOLD_KAFKA_PASSWORD", "of the environment");
    expect(kafkaSettingsOf({ kafka: "one:1", kafkaConfig }).sasl).toEqual({ ...sasl, password: "of the environment" });
    vi.stubEnv("ONEFOLD_KAFKA_USERNAME", "another");
    expect(kafkaSettingsOf({ kafka: "one:1" }).sasl).toEqual({
      mechanism: "PLAIN",
      username: "another",
      password: "of the environment",
    });
  });

  it("are refused where the file is none, or holds what there is not", () => {
    for (const config of ["{", { ssl: {} }, { tls: { ca: "x" } }, { sasl: { mechanism: 1 } }, { tls: [1] }]) {
      expect(() => kafkaSettingsOf({ kafka: "one:1", kafkaConfig: fileOf(config) })).toThrow(
        expect.objectContaining({ code: "FILE_UNREADABLE" }),
      );
    }
  });
});

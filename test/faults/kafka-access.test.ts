import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { describeWhere } from "../services/describe-where.ts";
import { startKafka } from "../services/kafka.ts";
import { KafkaWorld, sentPayment } from "../ingest/kafka/kafka-world.ts";

const describeWithKafka = await describeWhere("kafka", { ours: true });

describeWithKafka("a broker with TLS and SASL", () => {
  it("is reached with its authority's certificate, a user and a password, and not without", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-kafka-tls-"));
    const caFile = join(folder, "ca.pem");
    const keyFile = join(folder, "key.pem");
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", keyFile];
    await promisify(execFile)("openssl", ["req", "-x509", "-days", "2", ...key, ...subject, "-out", caFile]);
    const storeFile = join(folder, "server.pem");
    await writeFile(storeFile, `${await readFile(keyFile, "utf8")}${await readFile(caFile, "utf8")}`);
    const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    const kafka = await startKafka({
      config: {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": `${login} username="broker" password="b" user_broker="b" user_onefold="secret";`,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": storeFile,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": caFile,
      },
    });
    try {
      const sasl = { mechanism: "PLAIN", username: "onefold", password: "secret" } as const;
      const world = await KafkaWorld.open(kafka.address, { access: { tls: { caFile }, sasl } });
      const store = new MemoryOnlineStore();
      await world.send(Array.from({ length: 20 }, (_, n) => sentPayment(n)));
      await world.worker(store);
      await world.settled(store, 20);
      expect(await world.countOf(store, world.routes[0]!)).toBe(20);
      await world.close();
      const refused = (access: object) =>
        expect(KafkaWorld.open(kafka.address, { access })).rejects.toMatchObject({ code: "KAFKA_UNAVAILABLE" });
      await refused({ tls: { caFile }, sasl: { ...sasl, password: "other" } });
      await refused({ tls: {}, sasl });
    } finally {
      await kafka.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The stream benchmark runs: every case. Its figures say nothing here. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";

const describeWithKafka = await describeWhere("kafka");
const root = fileURLToPath(new URL("../..", import.meta.url));

interface Line {
  readonly bench: string;
  readonly case: string;
  readonly value: number;
  readonly reference?: { readonly name: string; readonly value: number };
}

/** By case. Misses of goals are no failure here. */
function measured(cases: readonly string[]): Promise<Map<string, Line>> {
  const options = [...cases.flatMap((one) => ["--case", one]), "--quick", "--json"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["scripts/bench.mjs", "stream", ...options], { cwd: root }, (error, stdout, stderr) => {
      const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
      if ((error !== null && error.code !== 1) || lines.length === 0) return reject(new Error(stderr));
      return resolve(new Map(lines.map((line) => JSON.parse(line) as Line).map((line) => [line.case, line])));
    });
  });
}

describe("npm run bench -- stream --quick", () => {
  it("measures the embedded pipeline, and entities in simulation", { timeout: 240_000 }, async () => {
    const lines = await measured(["b", "e"]);
    expect([...lines.keys()]).toEqual(["b-embedded", "b-embedded-beside-fold", "e-80-entities", "e-800-entities"]);
    for (const { value, bench } of lines.values()) {
      expect(bench).toBe("stream");
      expect(value).toBeGreaterThan(0);
    }
    expect(lines.get("e-800-entities")!.reference).toMatchObject({
      name: "80-entities",
      value: lines.get("e-80-entities")!.value,
    });
  });
});

describeWithKafka("npm run bench -- stream --quick, through Kafka", () => {
  it("measures workers beside plain consumers, latency, and two workers", { timeout: 240_000 }, async () => {
    const lines = await measured(["a", "c", "d"]);
    expect([...lines.keys()]).toEqual([
      "c-embedded-1k-p50",
      "c-embedded-1k-p99",
      "a-worker-beside-raw-writes",
      "a-worker-beside-counting",
      "c-kafka-1k-p50",
      "c-kafka-1k-p99",
      "c-kafka-1k-p99-aim",
      "d-two-workers",
    ]);
    for (const { value } of lines.values()) expect(value).toBeGreaterThan(0);
    expect(lines.get("a-worker-beside-counting")!.reference).toMatchObject({ name: "consumer-counts" });
    expect(lines.get("d-two-workers")!.reference).toMatchObject({ name: "one-worker" });
    for (const path of ["kafka", "embedded"]) {
      expect(lines.get(`c-${path}-1k-p99`)!.value).toBeGreaterThanOrEqual(lines.get(`c-${path}-1k-p50`)!.value);
    }
  });
});

/** The serving benchmark runs, and finds no reply wrong. Its figures say nothing here. */
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TOOLS = ["redis-server", "redis-benchmark", "wrk"];

const areInstalled = TOOLS.every((tool) => {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
if (!areInstalled) {
  process.stderr.write(
    `\n*** NOT CHECKED: not all of ${TOOLS.join(", ")} are installed (Debian: redis-server redis-tools wrk).\n` +
      "*** Whether the benchmark cases that need them run was not tested.\n\n",
  );
}
const runsTools = areInstalled || process.env["CI"] !== undefined;

interface Line {
  readonly case: string;
  readonly value: number;
}

/** By case. Misses of goals are no failure here: a figure of half a second on a busy machine is none. */
function figures(cases: readonly string[]): Promise<Record<string, number>> {
  const options = [...cases.flatMap((one) => ["--case", one]), "--quick", "--json"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["scripts/bench.mjs", "serving", ...options], { cwd: root }, (error, stdout, stderr) => {
      if (error !== null && error.code !== 1) return reject(error);
      const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
      if (lines.length === 0) return reject(new Error(stderr));
      return resolve(
        Object.fromEntries(lines.map((line) => JSON.parse(line) as Line).map((line) => [line.case, line.value])),
      );
    });
  });
}

describe("npm run bench -- serving --quick", () => {
  it.runIf(runsTools)(
    "measures both doors beside Redis, batches, and serving from Redis",
    { timeout: 240_000 },
    async () => {
      const measured = await figures(["a", "b", "d", "g"]);
      expect(measured).toMatchObject({ "point-wrong": 0, "d-wrong": 0, "g-wrong": 0 });
      expect(measured["point-checked"]).toBeGreaterThanOrEqual(1);
      expect(measured["a-resp-pipelined-32-packed"]).toBeGreaterThan(0);
      expect(measured["b-http"]).toBeGreaterThan(0);
      expect(measured["d-resp-packed-rows"]).toBeGreaterThan(0);
      expect(measured["g-http"]).toBeGreaterThan(0);
      expect(measured["g-1k-p99"]).toBeGreaterThan(0);
    },
  );

  it("measures latency under ingest, Feast's wire and stored bytes", { timeout: 240_000 }, async () => {
    const measured = await figures(["c", "e", "f"]);
    expect(measured).toMatchObject({ "c-wrong": 0, "e-wrong": 0 });
    expect(measured["c-10k-p99.9"]).toBeGreaterThan(0);
    expect(measured["c-ingested"]).toBeGreaterThan(0);
    expect(measured["e-keys-missing"]).toBeCloseTo(36.8, -1);
    expect(measured["f-1-event"]).toBeGreaterThan(8);
    expect(measured["f-500-events"]).toBeGreaterThan(measured["f-20-events"]!);
  });
});

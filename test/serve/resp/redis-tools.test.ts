/** `redis-cli` and `redis-benchmark`, where they are installed; in CI they are. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor();
const run = promisify(execFile);

const areInstalled = await Promise.all([run("redis-cli", ["--version"]), run("redis-benchmark", ["--version"])]).then(
  () => true,
  () => false,
);
if (!areInstalled) {
  process.stderr.write(
    "\n*** NOT CHECKED: redis-cli and redis-benchmark are not installed (Debian has them as redis-tools).\n" +
      "*** Whether they work against the RESP door was not tested in this run.\n\n",
  );
}
const runsTools = areInstalled || process.env["CI"] !== undefined;

async function cli(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run("redis-cli", ["-p", String(resp.door.port), ...args]);
  return stdout + stderr;
}

describe("redis-cli", () => {
  it.runIf(runsTools)("asks in both protocols", async () => {
    resp.world.arrive({ delay: 8 });
    resp.world.arrive({ delay: 3 });
    expect(await cli("FGET", "delay_model", "JFK", "JFK|LAX")).toBe("2\n5.5\n3\n2\n");
    expect(await cli("--no-raw", "-3", "FGET", "delay_model", "JFK", "A|B")).toBe(
      "1) (integer) 2\n2) (double) 5.5\n3) (integer) 3\n4) (integer) 0\n",
    );
    expect(await cli("FPUSH", "arrivals", '{"delay": 1}')).toContain("accepted\n1\n");
    expect(await cli("-3", "FDESCRIBE", "delay_model")).toContain("mean_delay_1h");
    expect(await cli("COMMAND", "DOCS", "fget")).toContain("in the service's order");
    expect(await cli("FGET", "delay_mode", "JFK", "A|B").catch((error: { stdout: string }) => error.stdout)).toContain(
      "SERVICE_UNKNOWN",
    );
  });

  it.runIf(runsTools)("sends a file of commands", async () => {
    const child = run("redis-cli", ["-p", String(resp.door.port), "--pipe"]);
    child.child.stdin!.end("FPUSH arrivals '{\"delay\": 1}'\r\n".repeat(500));
    expect((await child).stdout).toContain("errors: 0, replies: 500");
    expect(await cli("FGET", "delay_model", "JFK", "JFK|LAX")).toMatch(/^500\n/);
  });
});

describe("redis-benchmark", () => {
  it.runIf(runsTools)("drives the door, pipelined and not, without an error or a warning", async () => {
    resp.world.arrive({ delay: 8 });
    const port = String(resp.door.port);
    for (const pipeline of ["1", "32"]) {
      const load = `-p ${port} -c 32 -n 5000 -P ${pipeline} -q -r 100`.split(" ");
      const command = "FGET delay_model JFK __rand_int__|LAX".split(" ");
      const { stdout, stderr } = await run("redis-benchmark", [...load, ...command]);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/: [\d.]+ requests per second/);
    }
    expect(resp.door.commandCounts.get("fget")).toBeGreaterThanOrEqual(10_000);
    expect(resp.door.commandCounts.get("")).toBeUndefined();
  });
});

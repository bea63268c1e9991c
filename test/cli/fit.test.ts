/** `onefold fit`, and what `train` and `get` do with its versions. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "onefold-fit-"));
  writeFileSync(
    join(folder, "features.ts"),
    `import { entity, mean, onDemand, service, standardize, stream, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64() },
  eventTime: "paid_at",
});
export const spending = view("spending", { entity: user, source: payments, features: { usual: mean("amount") } });
export const fraud = service("fraud", { features: [spending], transform: { usual: standardize("usual") } });
export const unusual = onDemand("unusual", {
  inputs: [spending],
  request: { amount: t.float64(), channel: t.string().nullable() },
  outputs: { ratio: t.float64() },
  compute: ({ usual, amount }) => ({ ratio: usual === null ? null : amount / usual }),
});
export const asked = service("asked", { features: [unusual] });
`,
  );
  const events = [10, 20, 60].map(
    (amount, i) => `{"user_id":"u${i}","paid_at":"2026-01-0${i + 1}T00:00:00Z","amount":${amount}}`,
  );
  writeFileSync(join(folder, "events.ndjson"), `${events.join("\n")}\n`);
  const labels = [0, 1, 2].map((i) => `u${i},2026-01-0${i + 1}T12:00:00Z,${i === 2 ? "test" : "train"}`);
  writeFileSync(join(folder, "labels.csv"), `user_id,t,part\n${labels.join("\n")}\n`);
  for (const args of [["apply"], ["ingest", "events.ndjson", "--source", "payments"]]) {
    const { exitCode, stderr } = await runCli(args, folder);
    if (exitCode !== 0) throw new Error(stderr);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const json = (...args: string[]): ReturnType<typeof runJson> => runJson(args, folder);
const train = ["train", "--service", "fraud", "--labels", "labels.csv", "--out", "out.csv", "--allow-after-log"];
const fit = ["fit", "--service", "fraud", "--labels", "labels.csv", "--allow-after-log"];

describe("onefold fit", () => {
  it("asks which rows are the train split, and for one answer only", async () => {
    const unsaid = await json(...fit);
    expect(unsaid).toMatchObject({
      exitCode: 1,
      result: { error: { code: "REQUEST_INVALID", hint: expect.stringContaining("--train-until") } },
    });
    expect((await runCli([...fit, "--train-share", "0"], folder)).exitCode).toBe(2);
    expect((await runCli([...fit, "--train-share", "1", "--train-until", "2026-01-02"], folder)).exitCode).toBe(2);
    const before = await json(...train);
    expect(before.result["error"]).toMatchObject({
      code: "SERVICE_NOT_FITTED",
      hint: expect.stringContaining("onefold fit"),
    });
  });

  it("fits by time, share or column, each under the next version, for train and get to choose from", async () => {
    const byTime = await json(...fit, "--train-until", "2026-01-03");
    expect(byTime).toMatchObject({
      exitCode: 0,
      result: {
        service: "fraud",
        fit: 1,
        split: { train: "label time < 2026-01-03T00:00:00Z", rowsTrain: 2, rowsTotal: 3 },
        parameters: [{ transformation: "standardize(usual)", values: 2, parameters: { mean: 15, deviation: 5 } }],
      },
    });
    const byColumn = await json(...fit, "--split-column", "part=test");
    expect(byColumn.result).toMatchObject({ fit: 2, parameters: [{ parameters: { mean: 60, deviation: 0 } }] });
    const numbered = fit.map((arg) => (arg === "fraud" ? "fraud@1" : arg));
    const all = await runCli([...numbered, "--train-share", "1"], folder);
    expect(all.stdout).toMatch(/^fit 3 of fraud@1: 3 of 3 rows \(the earliest 1 of the label rows\)\n/);
    expect(all.stdout).toContain("standardize(usual)");

    const trained = await json(...train, "--fit", "1");
    expect(trained.result["manifest"]).toMatchObject({
      services: [{ fit: { version: 1, sha256: byTime.result["sha256"] } }],
    });
    const rows = readFileSync(join(folder, "out.csv"), "utf8").trim().split("\n").slice(1);
    expect(rows.map((row) => Number(row.split(",")[3]))).toEqual([-1, 1, 9]);
    expect((await json(...train)).result["manifest"]["services"][0]["fit"]["version"]).toBe(3);
    const get = ["get", "--service", "fraud", "--entity", "user_id=u2"];
    expect((await json(...get, "--fit", "1")).result).toMatchObject({ features: { usual: 9 }, metadata: { fit: 1 } });
    expect((await json(...get, "--fit", "9")).result["error"]).toMatchObject({
      code: "FIT_UNKNOWN",
      candidates: ["3", "2", "1"],
    });
    expect((await runCli(["describe", "fraud"], folder)).stdout).toContain("standardize(usual)");
  });

  it("is told by describe, as is the request data of a service", async () => {
    const described = await json("describe", "fraud");
    expect(described.result).toMatchObject({
      request: [],
      fits: expect.arrayContaining([expect.anything()]) as unknown,
    });
    const [first] = described.result["fits"] as Record<string, unknown>[];
    expect(first).toMatchObject({
      fit: 1,
      sha256: expect.any(String) as string,
      created_at: expect.any(String) as string,
    });
    expect(first).not.toHaveProperty("parameters");
    expect((await runCli(["describe", "fraud"], folder)).stdout).toMatch(
      /^fits:\n.*fit +is current.*\n[\s\S]*?^ +1 +true/m,
    );
    const requested = await json("describe", "asked");
    expect(requested.result).toMatchObject({
      request: [
        { name: "amount", type: "float64", nullable: false },
        { name: "channel", type: "string", nullable: true },
      ],
      fits: [],
    });
    const { stdout } = await runCli(["describe", "asked"], folder);
    expect(stdout).toMatch(/^request:\n[\s\S]*?amount +float64 +false[\s\S]*?channel +string +true/m);
    expect(stdout).not.toContain("fits:");
  });
});

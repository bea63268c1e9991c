/** The command line warns of impure functions, and refuses them where it is asked to. */
import { spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { cliPath, runCli } from "../run-cli.ts";
import { runHere, runJsonHere } from "../run-here.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-warnings-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const definitions = (body: string): string => `import { custom, entity, stream, t, view } from "onefold";
const user = entity("user", { user: t.string() });
const payments = stream("payments", { columns: { user: t.string(), at: t.timestamp(), amount: t.float64() }, eventTime: "at" });
const age = custom("age", { output: t.float64(), empty: () => 0,
  add: (state: number, amount: number) => ${body},
  read: (state) => state,
});
export const ages = view("ages", { entity: user, source: payments, features: { age: age("amount") } });
`;
writeFileSync(join(folder, "impure.ts"), definitions("state + Date.now()"));
writeFileSync(join(folder, "noted.ts"), definitions("state + Math.log(amount)"));
const IMPURE = ["--definitions", "impure.ts"];
const LINE =
  'warning: impure.ts:5: Date.now reads this machine\'s clock, in add of custom aggregation "age"; use eventTime, its third argument\n';
const warning = expect.objectContaining({ severity: "warning", where: `${folder}/impure.ts:5`, found: "Date.now" });

describe("onefold, of impure definitions", () => {
  it("warns on stderr and goes on: plan, apply, preview", async () => {
    const plan = await runCli(["plan", ...IMPURE], folder);
    expect(plan).toMatchObject({ exitCode: 0, stderr: LINE });
    expect(plan.stdout).toContain("+ view ages@1");
    expect(await runHere(["apply", ...IMPURE], folder)).toMatchObject({ exitCode: 0, stderr: LINE });
    expect(await runHere(["preview", "ages", ...IMPURE], folder)).toMatchObject({ exitCode: 0, stderr: LINE });
    expect(await runHere(["views", ...IMPURE], folder)).toMatchObject({ exitCode: 0, stderr: "" });
  });

  it("carries the warnings in the result with --json, and an empty list where there is none", async () => {
    for (const command of [["plan"], ["apply"], ["preview", "ages"]]) {
      expect(await runJsonHere([...command, ...IMPURE], folder)).toMatchObject({
        exitCode: 0,
        result: { warnings: [warning] },
      });
    }
    writeFileSync(join(folder, "pure.ts"), definitions("state + amount"));
    expect((await runJsonHere(["plan", "--definitions", "pure.ts"], folder)).result["warnings"]).toEqual([]);
  });

  it("warns when it serves", async () => {
    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", ...IMPURE], { cwd: folder });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    await new Promise((resolve) => child.once("close", resolve));
    expect(stderr).toContain(LINE);
  });

  it("refuses them with --strict, before anything is applied; notes pass", async () => {
    for (const command of ["plan", "apply"]) {
      const { exitCode, result } = await runJsonHere([command, "--strict", "--data", "strict", ...IMPURE], folder);
      expect(exitCode).toBe(3);
      expect(result["error"]).toMatchObject({
        code: "DEFINITION_IMPURE",
        message: `${folder}/impure.ts:5: Date.now in add of custom aggregation "age"`,
      });
    }
    const noted = await runHere(["plan", "--strict", "--data", "strict", "--definitions", "noted.ts"], folder);
    expect(noted).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("+ view ages@1") });
    expect(noted.stderr).toMatch(/^note: noted\.ts:5: Math\.log may differ in its last bits/);
  });
});

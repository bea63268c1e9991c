/** `onefold plan` and `onefold apply` in processes of their own: exit codes, plan files, approval, a terminal. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const BASE = `import { count, entity, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
export const totals = view("totals", { entity: user, source: visits, features: { visits: count(), spent: sum("spent") } });
`;
const WIDE = `${BASE}export const visitor = service("visitor", { features: [totals] });
`;
const NARROW = `${BASE}export const visitor = service("visitor", { features: [totals.pick("visits")] });
`;
const CHANGED = WIDE.replace("visits: count()", 'visits: count().over("1h")');

/** Each test starts some ten processes, which takes a while where the machine is busy. */
const TIMEOUT_MS = 600_000;

describe("onefold plan and apply", { timeout: TIMEOUT_MS }, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "onefold-plan-"));
    write(WIDE);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function write(text: string): void {
    writeFileSync(join(folder, "features.ts"), text);
  }
  const exitCode = async (...args: string[]): Promise<number | null> => (await runCli(args, folder)).exitCode;

  /** At a terminal, as util-linux's script gives one. */
  async function atTerminal(
    answer: string,
    ...args: string[]
  ): Promise<{ readonly status: number | null; readonly text: string }> {
    const command = [process.execPath, cliPath, ...args].map((part) => `'${part}'`).join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
    child.stdin.end(`${answer}\n`);
    const [status] = (await once(child, "close")) as [number | null];
    return { status, text };
  }

  it("tell by exit code whether there are changes, and whether they would be refused", async () => {
    expect(await exitCode("plan")).toBe(0);
    expect(await exitCode("plan", "--detailed-exitcode")).toBe(5);
    expect(await exitCode("plan", "--check")).toBe(3);
    expect(await exitCode("plan", "--detailed-exit")).toBe(2);
    expect(existsSync(join(folder, ".onefold"))).toBe(false);
    expect(await exitCode("apply")).toBe(0);
    expect(await exitCode("plan", "--detailed-exitcode")).toBe(0);
    write(CHANGED);
    const refused = await runJson(["plan", "--detailed-exitcode", "--out", "refused.plan"], folder);
    expect(refused).toMatchObject({ exitCode: 3, result: { refused: true, breaking: false } });
    const change = refused.result["changes"].find(({ name }: { name: string }) => name === "totals@1");
    expect(change).toMatchObject({ change: "refuse", breaks: [{ kind: "service", name: "visitor" }] });
    expect(existsSync(join(folder, "refused.plan"))).toBe(false);
  });

  it("apply without being asked what stops nothing, and what stops something only with approval", async () => {
    write(NARROW);
    const planned = await runCli(["plan"], folder);
    expect(planned.stdout).toContain("breaks service visitor: its vector loses spent");
    expect(planned.stdout).toContain("it breaks what is in use");
    const refused = await runJson(["apply"], folder);
    expect(refused).toMatchObject({ exitCode: 3, result: { error: { code: "APPROVAL_REQUIRED" } } });
    expect(refused.result["error"].message).toContain("its vector loses spent");
    expect(await exitCode("plan", "--detailed-exitcode")).toBe(5);
    expect(await exitCode("apply", "--auto-approve")).toBe(0);
    write(WIDE);
    expect(await exitCode("apply")).toBe(0);
  });

  it("apply the file of a plan over what it was made of, and over nothing else", async () => {
    write(NARROW);
    const planned = await runJson(["plan", "--out", "reviewed.plan"], folder);
    const { warnings: _, ...stored } = planned.result;
    expect(JSON.parse(readFileSync(join(folder, "reviewed.plan"), "utf8"))).toEqual(stored);
    expect(stored).toMatchObject({ format: "onefold-plan/1", dirty: true, breaking: true });

    write(WIDE);
    const otherCode = await runJson(["apply", "reviewed.plan"], folder);
    expect(otherCode).toMatchObject({ exitCode: 3, result: { error: { code: "PLAN_STALE" } } });
    write(`${NARROW}export const second = service("second", { features: [totals] });\n`);
    expect(await exitCode("apply", "--auto-approve")).toBe(0);
    write(NARROW);
    const otherRegistry = await runJson(["apply", "reviewed.plan"], folder);
    expect(otherRegistry).toMatchObject({ exitCode: 3, result: { error: { code: "PLAN_STALE" } } });
    expect(otherRegistry.result["error"].message).toContain("service second");

    write(WIDE);
    const behind = await runJson(["plan"], folder);
    expect(behind.result).toMatchObject({
      drift: [{ kind: "behind", name: "service visitor" }],
      removed: [{ kind: "service", name: "second", readBy: [] }],
    });
    expect(await exitCode("plan", "--out", "reviewed.plan")).toBe(0);
    expect(await exitCode("apply", "reviewed.plan")).toBe(0);
    writeFileSync(join(folder, "no.plan"), "{}");
    expect(await runJson(["apply", "no.plan"], folder)).toMatchObject({
      exitCode: 1,
      result: { error: { code: "FILE_UNREADABLE" } },
    });
  });

  it("ask at a terminal, and apply only for yes", async () => {
    write(NARROW);
    const no = await atTerminal("no", "apply");
    expect(no.text).toContain("breaks service visitor");
    expect(no.text).toContain("CANCELLED");
    expect(no.status).toBe(1);
    expect(await exitCode("plan", "--detailed-exitcode")).toBe(5);
    const yes = await atTerminal("yes", "apply");
    expect(yes.status, yes.text).toBe(0);
    expect(await exitCode("plan", "--detailed-exitcode")).toBe(0);
    // Nothing to change: nothing to ask.
    expect((await atTerminal("", "apply")).text).toContain("nothing to change");
  });
});

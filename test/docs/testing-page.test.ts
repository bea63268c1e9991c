/** The example of docs/testing.md runs as it stands in a project that `onefold init` writes, and says what the page shows. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCli } from "../cli/run-cli.ts";

const page = readFileSync(new URL("../../docs/testing.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-testing-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string, of: string = page): string {
  return new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(of)![1]!;
}

describe("docs/testing.md", () => {
  it("shows a test that passes, and the difference of one that does not", async () => {
    expect((await runCli(["init", "shop"], folder)).exitCode).toBe(0);
    const project = join(folder, "shop");
    const example = block("ts");
    writeFileSync(join(project, "features.test.ts"), example);
    const { exitCode, stdout } = await runCli(["test"], project);
    expect(stdout).toMatch(/pass 5\n.*fail 0/);
    expect(exitCode).toBe(0);
    writeFileSync(
      join(project, "features.test.ts"),
      example.replace("payments_1h: 1, amount_24h: 30", "payments_1h: 2"),
    );
    const failed = (await runCli(["test"], project)).stdout.split("\n").map((line) => line.trim());
    for (const line of block("text").trim().split("\n")) {
      expect(
        failed.some((one) => one.endsWith(line.trim())),
        line,
      ).toBe(true);
    }
  });

  it("shows a test of the on-demand view of its page", async () => {
    const project = mkdtempSync(join(folder, "on-demand-"));
    const definitions = readFileSync(new URL("../../docs/on-demand.md", import.meta.url), "utf8");
    for (const name of ["payments.ts", "unusual.ts"])
      writeFileSync(join(project, name), block(`ts ${name}`, definitions));
    writeFileSync(join(project, "on-demand.test.ts"), block("ts on-demand"));
    const { exitCode, stdout } = await runCli(["test"], project);
    expect(stdout).toMatch(/pass 2\n.*fail 0/);
    expect(exitCode).toBe(0);
  });

  it("names all that the door offers for it", async () => {
    const { expectView } = await import("../../src/testing/index.ts");
    const { spending } = await import("../../examples/shop/features.ts");
    const history = Object.getPrototypeOf(expectView(spending)) as object;
    const reading = Object.getPrototypeOf(expectView(spending).at("2026-01-01T00:00:00Z")) as object;
    const names = [history, reading, Object.getPrototypeOf(reading) as object]
      .flatMap((one) => Object.getOwnPropertyNames(one))
      .filter((name) => name !== "constructor");
    expect(names.length).toBeGreaterThan(8);
    for (const name of names) expect(page, name).toContain(`.${name}(`);
    expect(page).toContain(".given({");
    for (const name of ["expectView", "late", "rejected"]) expect(page).toContain(`\`${name}(`);
  });
});

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("npm run bench -- serving --help says what there is, and measures nothing", () => {
  const help = execFileSync(process.execPath, ["scripts/bench.mjs", "serving", "--help"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(help).toContain("npm run bench -- serving [--case a|b|c|d|e|f|g]");
  expect(help).toContain("`--quick` shows that everything runs");
  expect(help).not.toMatch(/\*\/|import /);
});

/**
 * Executes the notebook again, where a Python with its packages is at hand, and compares with what is committed. Never
 * skipped in CI, which installs the packages.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { pythonWith } from "../clients/python-at-hand.ts";

interface Notebook {
  readonly cells: readonly {
    readonly cell_type: string;
    readonly source: string | readonly string[];
    readonly outputs?: readonly Record<string, any>[];
  }[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const path = join(root, "clients", "python", "examples", "flights.ipynb");
const python = pythonWith(["httpx", "pandas", "pyarrow", "sklearn", "nbclient", "ipykernel"]);
const folder = mkdtempSync(join(tmpdir(), "onefold-notebook-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(file: string): Notebook {
  return JSON.parse(readFileSync(file, "utf8")) as Notebook;
}

function codeOf(notebook: Notebook): Notebook["cells"] {
  return notebook.cells.filter(({ cell_type }) => cell_type === "code");
}

/** What was printed, cell by cell. */
function printed(notebook: Notebook): string[] {
  return codeOf(notebook).map(({ outputs = [] }) =>
    outputs.map(({ text = [] }) => [text as string | string[]].flat().join("")).join(""),
  );
}

function figures(notebook: Notebook): Record<string, number> {
  return JSON.parse(printed(notebook).at(-1)!) as Record<string, number>;
}

describe("clients/python/examples/flights.ipynb", () => {
  it("is committed with the outputs of every cell that has any, and no error", () => {
    const cells = codeOf(read(path));
    expect(cells.filter(({ outputs = [] }) => outputs.length > 0).length).toBe(cells.length - 1);
    expect(cells.flatMap(({ outputs = [] }) => outputs.filter((one) => one["output_type"] === "error"))).toEqual([]);
    // A good model of flights has an AUC far from a coin's, and far from what only a leak could give.
    expect(figures(read(path))["auc"]).toBeGreaterThan(0.6);
    expect(figures(read(path))["auc"]).toBeLessThan(0.85);
  });

  it.skipIf(python === undefined && process.env["CI"] === undefined)(
    "executes, and comes to the same figures",
    async () => {
      const out = join(folder, "flights.ipynb");
      const args = ["scripts/notebook.mjs", "--out", out, "--folder", join(folder, "flights")];
      const env = { ...process.env, ONEFOLD_PYTHON: python ?? "python3" };
      await promisify(execFile)(process.execPath, args, { cwd: root, env, maxBuffer: 1 << 26 });
      const [committed, again] = [read(path), read(out)];
      const { auc, ...counts } = figures(again);
      const { auc: committedAuc, ...committedCounts } = figures(committed);
      expect(counts).toEqual(committedCounts);
      // Another version of scikit-learn may split a little differently.
      expect(Math.abs(auc! - committedAuc!)).toBeLessThan(0.02);
      expect(printed(again).filter((text) => text.includes("equal") || text.includes("->"))).toEqual(
        printed(committed).filter((text) => text.includes("equal") || text.includes("->")),
      );
    },
    600_000,
  );
});

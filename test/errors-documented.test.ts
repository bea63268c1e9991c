/** docs/errors.md and the closed list of codes say the same, and every code is really thrown. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../src/base/errors.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface DocumentedCode {
  readonly status: number;
  readonly meaning: string;
  readonly whatToDo: string;
}

/** The rows of every table on the page: code, status, meaning, what to do. */
function documentedCodes(): Map<string, DocumentedCode> {
  const page = readFileSync(join(root, "docs", "errors.md"), "utf8");
  const rows = page.matchAll(/^\| `([A-Z0-9_]+)` \| (\d+) \| (.+?) \| (.+) \|$/gm);
  return new Map(
    [...rows].map(([, code, status, meaning, whatToDo]) => [
      code!,
      { status: Number(status), meaning: meaning!, whatToDo: whatToDo! },
    ]),
  );
}

describe("docs/errors.md", () => {
  const documented = documentedCodes();

  it("lists the codes of src/base/errors.ts, in their order", () => {
    expect([...documented.keys()]).toEqual(Object.keys(ERROR_CODES));
  });

  it("gives each its status and meaning, and says what to do", () => {
    for (const [code, { status, meaning }] of Object.entries(ERROR_CODES)) {
      expect(documented.get(code), code).toMatchObject({ status, meaning });
      expect(documented.get(code)!.whatToDo.length, `${code}: what to do`).toBeGreaterThan(20);
    }
  });
});

describe("ERROR_CODES", () => {
  it("holds no code that nothing throws", () => {
    const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith("base/errors.ts"))
      .map((path) => readFileSync(join(root, "src", path), "utf8"))
      .join("\n");
    // asOnefoldError, in errors.ts itself, is where INTERNAL comes from.
    const unused = Object.keys(ERROR_CODES).filter((code) => !sources.includes(`"${code}"`));
    expect(unused).toEqual([]);
  });
});

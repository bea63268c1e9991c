/** `onefold plan` after edits of the three files of docs/on-demand.md: what the function does not reach asks for no version. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runJsonHere } from "../run-here.ts";

const page = readFileSync(new URL("../../../docs/on-demand.md", import.meta.url), "utf8");
const NAMES = ["payments.ts", "unusual.ts", "features.ts"] as const;
const TEXTS = Object.fromEntries(
  NAMES.map((name) => [name, new RegExp(`^\`\`\`ts ${name}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)![1]!]),
) as Record<(typeof NAMES)[number], string>;

let folder: string;
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-reached-")));
  write({});
  const { exitCode, result } = await runJsonHere(["apply"], folder);
  if (exitCode !== 0) throw new Error(JSON.stringify(result));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(changed: Readonly<Record<string, string>>): void {
  for (const name of NAMES) writeFileSync(join(folder, name), changed[name] ?? TEXTS[name]);
}

/** The page's file with an edit. */
function edited(name: (typeof NAMES)[number], from: string, to: string): Readonly<Record<string, string>> {
  if (!TEXTS[name].includes(from)) throw new Error(`${name} has no ${from}`);
  return { [name]: TEXTS[name].replace(from, to) };
}

const after = (name: (typeof NAMES)[number], text: string): Readonly<Record<string, string>> => ({
  [name]: `${TEXTS[name]}${text}`,
});

describe("onefold plan", () => {
  it.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
    ["nothing", {}, []],
    ["a description", edited("payments.ts", '.over("1h")', '.over("1h").describe("in EUR")'), []],
    [
      "a nullable column",
      edited("payments.ts", "amount: t.float64()", "amount: t.float64(), note: t.string().nullable()"),
      ["payments"],
    ],
    [
      "another stream",
      after(
        "payments.ts",
        `export const refunds = stream("refunds", { columns: { user_id: t.string(), at: t.timestamp() }, eventTime: "at" });`,
      ),
      ["refunds"],
    ],
    [
      "a view's next version in the same file",
      after(
        "payments.ts",
        `export const next = view("spending", { version: 2, entity: user, source: payments, features: { payments_2h: count().over("2h") } });`,
      ),
      ["spending@2"],
    ],
    [
      "the on-demand view's next version in the same file",
      after(
        "unusual.ts",
        `export const next = onDemand("unusual", { version: 2, inputs: [spending], outputs: { n: t.int64() }, compute: ({ payments_1h }) => ({ n: payments_1h }) });`,
      ),
      ["unusual@2"],
    ],
    ["its own description", edited("unusual.ts", "inputs:", 'description: "of this one", inputs:'), []],
  ])("passes %s", async (_, files, changed) => {
    write(files);
    const { exitCode, result } = await runJsonHere(["plan", "--detailed-exitcode"], folder);
    expect(result).toMatchObject({ refused: false });
    expect(exitCode).toBe(changed.length === 0 ? 0 : 5);
    const changes = (result["changes"] as { change: string; name: string }[]).filter(
      ({ change }) => change !== "unchanged",
    );
    expect(changes.map(({ name }) => name)).toEqual(changed);
  });

  it("refuses another function, and says what to do", async () => {
    write(edited("unusual.ts", "amount / mean_amount_7d", "mean_amount_7d / amount"));
    const { exitCode, result } = await runJsonHere(["plan", "--detailed-exitcode"], folder);
    expect(exitCode).toBe(3);
    expect(result).toMatchObject({ refused: true });
    expect(JSON.stringify(result)).toContain("codeFingerprint: the code of its functions changed");
  });
});

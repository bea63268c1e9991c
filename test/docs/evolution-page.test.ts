/** docs/evolution.md: its source is one that the source of before, as its comments tell it, may become. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { keyOf } from "../../src/registry/definition-set.ts";
import { planChanges } from "../../src/registry/plan.ts";

const page = readFileSync(new URL("../../docs/evolution.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-evolution-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BEFORE = `export const arrivals = stream("arrivals", {
  columns: { airport: t.string(), at: t.timestamp(), delay: t.int64(), carrier: t.string(), capacity: t.int64(), remark: t.string() },
  eventTime: "at",
});`;

it("shows a source that the one of before may become", async () => {
  const after = /^```ts\n([\s\S]*?)^```$/m.exec(page)![1]!;
  const [old, next] = await Promise.all(
    [BEFORE, after].map(async (code, i) => {
      const file = join(folder, `${i}.ts`);
      writeFileSync(file, `import { stream, t } from "onefold";\n${code}\n`);
      return (await loadDefinitions(file)).definitions;
    }),
  );
  const { changes } = planChanges(next!, new Map(old!.map((one) => [keyOf(one), one])));
  expect(changes).toMatchObject([{ change: "change", name: "arrivals" }]);
  expect(changes[0]!.details).toHaveLength(8);
});

/**
 * docs/aggregations.md is what the code says, and says all of it.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { AGGREGATION_TABLE } from "../../src/fold/aggregation-table.ts";
import * as onefold from "../../src/index.ts";
import { aggregationsPage } from "./aggregations-page.ts";

describe("docs/aggregations.md", () => {
  it("is what `node scripts/aggregations.mjs` writes", () => {
    expect(readFileSync(new URL("../../docs/aggregations.md", import.meta.url), "utf8")).toBe(aggregationsPage());
  });

  it("names functions that can be imported, every aggregation under its own name", () => {
    for (const [name, { call }] of Object.entries(AGGREGATION_TABLE)) {
      expect(call).toContain(`${name}(`);
      for (const [, called] of call.matchAll(/(\w+)\(/g)) expect(onefold).toHaveProperty(called!, expect.any(Function));
    }
  });
});

/** The page of a drift report: whole by itself, and right, whatever names and values are. */
import { describe, expect, it } from "vitest";
import { profileCategories } from "../../../src/monitor/drift/category-profile.ts";
import { type DriftReport, driftReport } from "../../../src/monitor/drift/drift-report.ts";
import { profileNumbers } from "../../../src/monitor/drift/numeric-profile.ts";
import type { Profile } from "../../../src/monitor/drift/profile.ts";
import { reportsToHtml } from "../../../src/monitor/drift/report-html.ts";
import { reportToJson } from "../../../src/monitor/drift/report-json.ts";

const EVIL = `<script>alert("1")</script>&`;

function numbers(shift: number): Profile {
  return profileNumbers(
    Float64Array.from({ length: 300 }, (_, i) => shift + ((i * 37) % 300) / 30),
    5,
    Number.POSITIVE_INFINITY,
  );
}

export async function exampleReport(): Promise<DriftReport> {
  const side = (profiles: readonly Profile[]): DriftReport["baseline"] => ({
    source: EVIL,
    isExact: true,
    window: {
      service: "delays",
      fit: null,
      startMicros: Number.NaN,
      endMicros: Number.NaN,
      vectors: 305,
      features: profiles.map((profile, i) => ({ name: `${EVIL}${i}`, view: EVIL, isInteger: false, profile })),
    },
  });
  const few = profileNumbers(
    Float64Array.from({ length: 40 }, (_, i) => i % 4),
    0,
    Number.POSITIVE_INFINITY,
  );
  const categories = Array.from({ length: 400 }, (_, i) => `${EVIL}${i % 30}`);
  const before = [numbers(0), few, profileCategories(categories, 0, 1000), profileCategories([], 9, 1000)];
  const after = [
    numbers(4),
    few,
    profileCategories(categories.slice(0, 20), 3, 1000),
    profileCategories(["a"], 0, 1000),
  ];
  return driftReport(side(before), side(after), {}, 1_770_000_000_000_000);
}

describe("the page of a drift report", () => {
  it("has a plot of each feature that was judged, runs nothing and loads nothing", async () => {
    const report = await exampleReport();
    const html = reportsToHtml([report]);
    expect(html.match(/<svg /g)).toHaveLength(3);
    expect(html).not.toMatch(/<script|<link|<img|<iframe|javascript:|url\(|@import|\son\w+=/i);
    expect(html).not.toMatch(/(?:src|href)=/);
    // Names of namespaces are no addresses to load from.
    expect(html.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:\/\//);
    expect(html).toContain("&lt;script&gt;");
    expect(html).toContain("there are no values in the baseline");
    expect(html).toContain(`${report.drifted} of 4 features drifted`);
  });

  it("says what its JSON says", async () => {
    const report = await exampleReport();
    const json = JSON.parse(JSON.stringify(reportToJson(report))) as {
      features: { drifted: boolean; measure: string | null; value: number }[];
    };
    expect(json.features.map(({ measure }) => measure)).toEqual(["ks", "chisquare", "chisquare", null]);
    expect(json.features.map(({ drifted }) => drifted)).toEqual(report.features.map(({ isDrifted }) => isDrifted));
    const html = reportsToHtml([report]);
    for (const { measure, value } of json.features) {
      if (measure !== null && value > 0.0001) expect(html).toContain(`${measure} ${Number(value.toPrecision(4))}`);
    }
  });
});

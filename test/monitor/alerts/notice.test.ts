/** What a notice says in one line. */
import { expect, it } from "vitest";
import { measuredText } from "../../../src/monitor/alerts/notice.ts";

it("names what was measured so that a person finds it, and over how many values", () => {
  const measured = { measure: "psi", value: 0.31, threshold: 0.2, pValue: null, adjustedPValue: null, detail: {} };
  const view = { view: "traffic@1", feature: "count_1h", service: "model" };
  expect(measuredText({ ...measured, kind: "drift", subject: view, samples: 1000 })).toBe(
    "drift of traffic@1.count_1h: psi 0.31, threshold 0.2, over 1,000 values",
  );
  const column = { source: "rides", feature: "fare", expectation: "fare_range" };
  expect(measuredText({ ...measured, kind: "expectation", subject: column, samples: 1000 })).toBe(
    "expectation of rides.fare (fare_range): psi 0.31, threshold 0.2, over 1,000 values",
  );
  const silent = { ...measured, kind: "source-silence", measure: "age_seconds", threshold: null } as const;
  expect(measuredText({ ...silent, subject: { source: "rides" }, samples: 1 })).toBe(
    "source-silence of rides: age_seconds 0.31",
  );
});

/** What stands on the command line for each of several services. */
import { describe, expect, it } from "vitest";
import { labelRequest, ofEachService } from "../../src/cli/label-options.ts";

describe("what is said of each service", () => {
  it("is a value of the only one, by its name or not", () => {
    expect(ofEachService("--fit", ["fraud"], undefined)).toBeUndefined();
    expect(ofEachService("--fit", ["fraud"], ["3"])).toBe("3");
    expect(ofEachService("--fit", ["fraud"], ["fraud=3"])).toBe("3");
    expect(ofEachService("--token-column", ["fraud"], ["a=b"])).toBe("a=b");
  });

  it("has the name of its service where there are several", () => {
    expect(ofEachService("--fit", ["fraud", "churn"], ["churn=2"])).toEqual({ churn: "2" });
    expect(ofEachService("--token-column", ["a", "ab"], ["ab=x", "a=y=z"])).toEqual({ ab: "x", a: "y=z" });
    expect(() => ofEachService("--fit", ["fraud", "churn"], ["2"])).toThrow(
      "--fit 2 does not say which of the services it is of",
    );
    expect(() => ofEachService("--fit", ["fraud"], ["1", "2"])).toThrow("--fit 1 does not say");
  });

  it("reaches the platform", () => {
    const options = { labels: "l.csv", knowledge: "as-served", tokenColumn: ["churn=t2", "fraud=t1"] } as const;
    expect(labelRequest(options, ["fraud", "churn"])).toMatchObject({ tokenColumn: { fraud: "t1", churn: "t2" } });
  });
});

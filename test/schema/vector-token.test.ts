/**
 * A vector's token as text: those that were given out keep their meaning.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { decodeVectorToken, encodeVectorToken, type VectorToken } from "../../src/schema/vector-token.ts";

const reads = [
  { view: "delays@1", epoch: 3, lastOffset: 1 },
  { view: "routes@dev", epoch: 0, lastOffset: null },
];
const plain: VectorToken = { asOf: 991_396_800_000_000 as Micros, reads };
const fitted: VectorToken = { ...plain, fit: { version: 12, sha256: "0123456789abcdef" } };

function textOf(parts: unknown): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

describe("a vector token", () => {
  it("comes back whole, with a fit and without", () => {
    const fellBack: VectorToken = {
      ...plain,
      reads: [
        { ...reads[0]!, fallback: "null" },
        { ...reads[1]!, fallback: "default" },
      ],
    };
    for (const token of [plain, fitted, { ...fitted, reads: [] }, fellBack]) {
      expect(decodeVectorToken(encodeVectorToken(token))).toEqual(token);
      expect(encodeVectorToken(token)).toMatch(/^[\w-]+$/);
    }
  });

  it("is, without a fit, what it was before there were fits", () => {
    const text = "WzEsOTkxMzk2ODAwMDAwMDAwLFsib3JpZ2luX2RlbGF5c0AyIiwzLDFdLFsicm91dGVfZGVsYXlzQDEiLDMsMF1d";
    const old = decodeVectorToken(text);
    expect(old).toEqual({
      asOf: 991_396_800_000_000,
      reads: [
        { view: "origin_delays@2", epoch: 3, lastOffset: 1 },
        { view: "route_delays@1", epoch: 3, lastOffset: 0 },
      ],
    });
    expect(encodeVectorToken(old)).toBe(text);
  });

  it("carries so much of the fit's hash that another fit of its version is told apart", () => {
    const sha256 = "0123456789abcdef".repeat(4);
    expect(decodeVectorToken(encodeVectorToken({ ...plain, fit: { version: 1, sha256 } }))).toEqual({
      ...plain,
      fit: { version: 1, sha256: "0123456789abcdef" },
    });
  });

  it.each([
    ["another format", [3, 5, [1, "0123456789abcdef"]]],
    ["no fit where one belongs", [2, 5]],
    ["a read in place of the fit", [2, 5, ["delays@1", 0, 3]]],
    ["a fit without its hash", [2, 5, [1]]],
    ["a fit's hash that is none", [2, 5, [1, "0123456789ABCDEF"]]],
    ["fit 0", [2, 5, [0, "0123456789abcdef"]]],
    ["a fit in a token that has none", [1, 5, [1, "0123456789abcdef"]]],
    ["an offset that is text", [1, 5, ["delays@1", 0, "3"]]],
  ])("is refused with %s", (_, parts) => {
    expect(() => decodeVectorToken(textOf(parts))).toThrow(expect.objectContaining({ code: "TOKEN_INVALID" }));
  });
});

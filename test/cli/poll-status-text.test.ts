/** When a source is polled next, as people read it. */
import { describe, expect, it } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";
import { dueText } from "../../src/cli/poll-status-text.ts";

describe("the next poll", () => {
  it("is a time, one that is past, or nobody's", () => {
    const now = parseMicros("2026-01-01T00:00:30Z");
    expect(dueText("2026-01-01T00:00:35Z", now)).toBe("2026-01-01T00:00:35Z");
    expect(dueText("2026-01-01T00:00:25Z", now)).toBe("2026-01-01T00:00:25Z");
    expect(dueText("2026-01-01T00:00:15Z", now)).toBe("2026-01-01T00:00:15Z (past)");
    expect(dueText(null, now)).toBe("nobody polls");
  });
});

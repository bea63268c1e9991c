/** What `onefold serve` says when a request fails by its own fault: on stderr, and nowhere else. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { printServerError } from "../../src/cli/output.ts";

afterEach(() => vi.restoreAllMocks());

function printed(error: unknown, debug: boolean): string {
  vi.restoreAllMocks();
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  printServerError(error, "POST /events/rides", { debug });
  return write.mock.calls.map(([text]) => String(text)).join("");
}

describe("a request that fails by the server's own fault", () => {
  it("is printed with code, message and request, in one line", () => {
    expect(printed(new TypeError("x is not a function"), false)).toBe(
      "INTERNAL: x is not a function, at POST /events/rides\n",
    );
    expect(printed(new OnefoldError("STORAGE_FAILED", "EIO", { where: "log/rides" }), false)).toBe(
      "STORAGE_FAILED: EIO (log/rides), at POST /events/rides\n",
    );
  });

  it("is printed with its stack on request", () => {
    expect(printed(new TypeError("broken"), true)).toMatch(/^INTERNAL: broken.*\nTypeError: broken\n\s+at /);
  });
});

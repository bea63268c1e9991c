import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeptValues } from "../../../src/online-store/redis/kept-values.ts";

describe("kept values", () => {
  it("are what was kept last or not there, and within their bytes, whatever is kept and forgotten", () => {
    const step = fc.record({
      name: fc.nat(30).map(String),
      do: fc.constantFrom("keep", "keep", "keep", "nothing", "forget", "get"),
      bytes: fc.nat(3000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const kept = new KeptValues(20_000);
        const last = new Map<string, Uint8Array | null>();
        for (const [i, { name, do: what, bytes }] of steps.entries()) {
          if (what === "forget") {
            kept.forget(name);
            last.delete(name);
            expect(kept.get(name)).toBeUndefined();
          } else if (what !== "get") {
            const value = what === "nothing" ? null : new Uint8Array(bytes).fill(i);
            kept.keep(name, value);
            last.set(name, value);
          }
          const found = kept.get(name);
          if (found !== undefined) expect(found).toEqual(last.get(name));
          expect(kept.bytes).toBeLessThanOrEqual(20_000);
          expect(kept.size).toBeLessThanOrEqual(last.size);
        }
        kept.clear();
        expect([kept.size, kept.bytes]).toEqual([0, 0]);
      }),
    );
  });

  it("stay where they are asked for, and the others make room", () => {
    const kept = new KeptValues(200_000);
    for (let i = 0; i < 20_000; i++) {
      kept.keep(`often-${i % 100}`, kept.get(`often-${i % 100}`) ?? new Uint8Array(100));
      kept.get(`often-${i % 100}`);
      kept.keep(`once-${i}`, new Uint8Array(100));
    }
    const stayed = Array.from({ length: 100 }, (_, i) => kept.get(`often-${i}`)).filter((value) => value !== undefined);
    expect(stayed).toHaveLength(100);
    expect(kept.get("once-0")).toBeUndefined();
  });

  it("are copies", () => {
    const kept = new KeptValues(10_000);
    const value = Buffer.from("as it was");
    kept.keep("a", value);
    value.fill(0);
    expect(Buffer.from(kept.get("a")!).toString()).toBe("as it was");
  });

  it("leave no queue behind of what is kept and forgotten again and again", () => {
    const kept = new KeptValues(10_000_000);
    const before = heapBytes();
    for (let i = 0; i < 1_000_000; i++) {
      kept.keep(`k${i % 10}`, null);
      kept.forget(`k${i % 10}`);
    }
    // A million entries would be 8 MB at the least.
    expect(heapBytes() - before).toBeLessThan(4_000_000);
    expect(kept.size).toBe(0);
  });
});

/** Without what is garbage. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

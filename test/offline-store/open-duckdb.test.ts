import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { EngineWhenAsked, openDuckDb } from "../../src/offline-store/open-duckdb.ts";
import { codeOf } from "../code-of.ts";

describe("an engine that is opened when it is asked", () => {
  it("is opened once, by the first, and answers as any other", async () => {
    let opened = 0;
    const engine = new EngineWhenAsked(() => {
      opened++;
      return openDuckDb();
    });
    expect([engine.progress(), opened]).toEqual([null, 0]);
    await Promise.all([engine.run("CREATE TABLE a (n BIGINT)"), engine.run("CREATE TABLE b (n BIGINT)")]);
    await engine.fill("c", [{ name: "n", type: { name: "float64" } }], []);
    expect(await engine.rows("SELECT count(*) AS n FROM a, b, c")).toEqual([{ n: 0 }]);
    const batches = engine.stream("SELECT 1::DOUBLE AS n", [{ as: "number" }]);
    expect((await batches.next()).done).toBe(false);
    await batches.return?.();
    expect(opened).toBe(1);
    await engine.close();
  });

  it("is opened before anything is asked, where that is said, and else by who asks first", async () => {
    let opened = 0;
    const failures = [new OnefoldError("STORAGE_FAILED", "no memory")];
    const engine = new EngineWhenAsked(async () => {
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
      opened++;
      return openDuckDb();
    });
    await engine.open();
    expect(opened).toBe(0);
    await engine.open();
    expect(opened).toBe(1);
    expect(await engine.rows("SELECT 1 AS n")).toEqual([{ n: 1 }]);
    expect(opened).toBe(1);
    await engine.close();
  });

  it("throws what opening it throws, and is opened by the next that asks", async () => {
    const failures = [new OnefoldError("STORAGE_FAILED", "no memory")];
    const engine = new EngineWhenAsked(async () => {
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
      return openDuckDb();
    });
    expect(await codeOf(engine.run("SELECT 1"))).toBe("STORAGE_FAILED");
    expect(await engine.rows("SELECT 1 AS n")).toEqual([{ n: 1 }]);
    await engine.close();
  });

  it("stops what waits for it to be opened, and nothing that comes later; closed unopened, it opens nothing", async () => {
    let open!: (engine: QueryEngine) => void;
    const engine = new EngineWhenAsked(() => new Promise((resolve) => (open = resolve)));
    const stopped = codeOf(engine.run("SELECT 1"));
    engine.interrupt();
    const later = engine.rows("SELECT 1 AS n");
    open(await openDuckDb());
    expect(await stopped).toBe("CANCELLED");
    expect(await later).toEqual([{ n: 1 }]);
    await engine.close();
    expect(await codeOf(engine.run("SELECT 1"))).toBe("INTERNAL");
    const unopened = new EngineWhenAsked(() => Promise.reject(new Error("opened")));
    await unopened.close();
    expect(await codeOf(unopened.run("SELECT 1"))).toBe("INTERNAL");
    const failing = new EngineWhenAsked(() => Promise.reject(new OnefoldError("STORAGE_FAILED", "no memory")));
    const asked = codeOf(failing.run("SELECT 1"));
    await failing.close();
    expect(await asked).toBe("STORAGE_FAILED");
  });
});

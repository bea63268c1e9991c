import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../../src/base/errors.ts";
import { type Answers, AskLink, faultsFromWire, faultsToWire } from "../../../src/platform/workers/ask-link.ts";
import type { PushReport } from "../../../src/serve/ports.ts";

/** Two ends of a channel that copies what goes through it, as that of a process does. */
function linked(answers: Answers): { asking: AskLink; answering: AskLink } {
  const asking: AskLink = new AskLink((message) => answering.receive(structuredClone(message)), {});
  const answering: AskLink = new AskLink((message) => asking.receive(structuredClone(message)), answers);
  return { asking, answering };
}

const report: PushReport = { accepted: 1, duplicates: 0, rejected: 0, outcomes: [{ status: "accepted", offset: 7 }] };

describe("questions between processes", () => {
  it("are answered each by its own answer, in whatever order those come", async () => {
    const waiting = new Map<string, () => void>();
    const { asking } = linked({
      push: ({ source }) =>
        new Promise((resolve) => waiting.set(source, () => resolve({ ...report, outcomes: [{ source }] }))),
    });
    const asked = ["a", "b", "c"].map((source) => asking.ask("push", { source, rows: [], faults: [] }));
    for (const source of ["c", "a", "b"]) waiting.get(source)!();
    expect((await Promise.all(asked)).map(({ outcomes }) => outcomes[0]!["source"])).toEqual(["a", "b", "c"]);
  });

  it("are refused with the very error: code, message, place, hint and candidates", async () => {
    const error = new OnefoldError("SOURCE_UNKNOWN", "no source x", { where: "x", hint: "look", candidates: ["y"] });
    const { asking } = linked({
      push: () => Promise.reject(error),
      metricsPage: () => Promise.reject(new TypeError("odd")),
    });
    const refused = await asking.ask("push", { source: "x", rows: [], faults: [] }).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(OnefoldError);
    expect((refused as OnefoldError).toJSON()).toEqual(error.toJSON());
    await expect(asking.ask("metricsPage", null)).rejects.toMatchObject({ code: "INTERNAL", message: "odd" });
    await expect(asking.ask("reload", null)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("fail once the other side has gone, those under way too", async () => {
    const { asking } = linked({ push: () => new Promise(() => {}) });
    const underWay = asking.ask("push", { source: "a", rows: [], faults: [] });
    asking.close(new OnefoldError("NOT_READY", "gone"));
    await expect(underWay).rejects.toMatchObject({ code: "NOT_READY" });
    await expect(asking.ask("metricsPage", null)).rejects.toMatchObject({ code: "NOT_READY" });
  });

  it("fail where they cannot be written, and nothing waits for them", async () => {
    const tooDeep = new RangeError("Maximum call stack size exceeded");
    const asking = new AskLink(({ kind }) => {
      if (kind === "ask") throw tooDeep;
    }, {});
    await expect(asking.ask("push", { source: "x", rows: [], faults: [] })).rejects.toBe(tooDeep);
  });

  it("carry the faults of rows", () => {
    const faults = new Map([[3, new OnefoldError("JSON_INVALID", "line 4", { where: "body:4" })]]);
    const carried = faultsFromWire(structuredClone(faultsToWire(faults)));
    expect(carried.get(3)!.toJSON()).toEqual(faults.get(3)!.toJSON());
  });
});

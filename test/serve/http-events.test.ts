import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { useServer } from "./server-in-test.ts";

const http = useServer();
const { post } = http;

describe("POST /events/{source}", () => {
  const row = (origin: string, more: object = {}): object => ({
    origin,
    destination: "LAX",
    account: 1,
    arrived_at: "2001-06-01T11:59:00Z",
    delay: 4,
    ...more,
  });

  it("takes an object, and what it holds is served at once", async () => {
    const { status, body } = await post("/events/arrivals", row("JFK"));
    expect(status).toBe(200);
    expect(body).toEqual({
      source: "arrivals",
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      outcomes: [{ status: "accepted", offset: 0 }],
    });
    const served = await post("/features", { entity_type: "airport", entity_id: "JFK", feature_names: ["last_delay"] });
    expect(served.body["features"]).toEqual({ last_delay: 4 });
  });

  it("takes an array with an outcome for each row", async () => {
    const { status, body } = await post("/events/arrivals", [row("JFK"), row("JFK", { delay: "x" }), 5]);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      accepted: 1,
      rejected: 2,
      outcomes: [
        { status: "accepted" },
        { status: "rejected", code: "TYPE_MISMATCH", dead_letter_id: "d1" },
        { status: "rejected", code: "TYPE_MISMATCH", dead_letter_id: "d2" },
      ],
    });
  });

  it.each([
    ["application/x-ndjson", "by its content type"],
    ["application/json", "by its content"],
    ["application/x-www-form-urlencoded", "by its content, whatever a client calls it"],
  ])("takes NDJSON as %s: %s", async (contentType) => {
    const lines = `${JSON.stringify(row("JFK"))}\r\n\n${JSON.stringify(row("SFO"))}\n{"origin": \n${JSON.stringify(row("LAX"))}`;
    const { status, body } = await post("/events/arrivals", lines, { "content-type": contentType });
    expect(status).toBe(200);
    expect(body).toMatchObject({ accepted: 3, rejected: 1 });
    expect(body.outcomes[2]).toMatchObject({
      status: "rejected",
      code: "JSON_INVALID",
      message: expect.stringContaining("line 4"),
      dead_letter_id: "d2",
    });
  });

  it("takes a pretty-printed object and one without a content type", async () => {
    expect((await post("/events/arrivals", JSON.stringify(row("JFK"), null, 2))).body["accepted"]).toBe(1);
    const bare = Buffer.from(JSON.stringify(row("JFK")));
    const response = await fetch(`${http.server.url}/events/arrivals`, { method: "POST", body: bare });
    expect(await response.json()).toMatchObject({ accepted: 1 });
  });

  it("answers with the code of a single row, and ROWS_REJECTED where all of several are bad", async () => {
    const one = await post("/events/arrivals", row("JFK", { arrived_at: "yesterday" }));
    expect(one).toMatchObject({ status: 400, body: { error: { code: "TIME_INVALID" }, rejected: 1 } });
    const all = await post("/events/arrivals", [row("JFK", { delay: 1.5 }), 7]);
    expect(all).toMatchObject({ status: 422, body: { error: { code: "ROWS_REJECTED" }, rejected: 2 } });
    expect(all.body["outcomes"]).toHaveLength(2);
    expect((await post("/events/arrivals", [])).body).toMatchObject({ accepted: 0, outcomes: [] });
    expect((await post("/events/arivals", [])).body.error).toMatchObject({ code: "SOURCE_UNKNOWN" });
    expect((await post("/events/arrivals", '"text"')).body.error?.code).toBe("REQUEST_INVALID");
  });

  it("answers BACKPRESSURE with 429 and Retry-After", async () => {
    http.world.pushInstead = async () => {
      throw new OnefoldError("BACKPRESSURE", "the fold is behind");
    };
    const { status, body, headers } = await post("/events/arrivals", row("JFK"));
    expect(status).toBe(429);
    expect(headers.get("retry-after")).toBe("1");
    expect(body.error?.code).toBe("BACKPRESSURE");
  });

  it("refuses more rows than a body may have, before any is built, as NDJSON and as an array", async () => {
    http.world.pushInstead = async () => {
      throw new Error("nothing of it may be pushed");
    };
    const objects = Array.from({ length: 100_001 }, () => "{}");
    for (const body of [objects.join("\n"), `[${objects.join(",")}]`]) {
      const { status, body: answer } = await post("/events/arrivals", body);
      expect(status).toBe(413);
      expect(answer.error).toMatchObject({ code: "BODY_TOO_LARGE", message: "a body of more than 100000 rows" });
    }
  });

  it("counts rows, not the commas inside them", async () => {
    let rows = 0;
    http.world.pushInstead = async (_source, given) => {
      rows = given.length;
      return { accepted: rows, duplicates: 0, rejected: 0, outcomes: given.map(() => ({ status: "accepted" })) };
    };
    const commas = { text: ',"[{\\,'.repeat(40_000), list: Array.from({ length: 60_000 }, () => 0) };
    const { status } = await post("/events/arrivals", [commas, { ...commas, more: { a: 1, b: [2, 3] } }]);
    expect({ status, rows }).toEqual({ status: 200, rows: 2 });
  });
});

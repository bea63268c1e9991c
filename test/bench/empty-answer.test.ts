import { describe, expect, it } from "vitest";
import { emptyAnswer } from "../../bench/serving/empty-answer.ts";

describe("an answer that says nothing", () => {
  it("has as many bytes as it is to have, and a body of the length that its head says", () => {
    for (const bytes of [60, 120, 137, 138, 139, 140, 999, 1000, 1040, 1046, 1047, 10_050, 100_060, 123_457]) {
      const answer = emptyAnswer(bytes);
      expect(answer).toHaveLength(bytes);
      const [head = "", body = ""] = answer.toString("latin1").split("\r\n\r\n");
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-length: \d+\r\nx: x*$/);
      expect(body).toHaveLength(Number(/content-length: (\d+)/.exec(head)![1]));
    }
  });
});

import { describe, expect, it } from "vitest";
import { AnswerBytes, lentBytes } from "../../src/serve/answer-bytes.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();

describe("an answer that is put together as bytes", () => {
  it(`is the text of its parts in UTF-8, whatever they are and whatever was written there before (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const letters = ["a", "\u007f", "ü", "東", "✈", "🛫", "\ud83d", '"', "0"];
    for (let round = 0; round < 60; round++) {
      const out = new AnswerBytes();
      const expected: Buffer[] = [];
      const parts = random.integer(0, 60);
      for (let part = 0; part < parts; part++) {
        const isPlain = random.oneIn(2);
        const length = random.oneIn(8) ? random.integer(0, 60_000) : random.integer(0, 130);
        const text = Array.from({ length }, () => (isPlain ? "x" : random.pick(letters))).join("");
        const bytes = Buffer.from(text);
        expect(lentBytes(text).equals(bytes)).toBe(true);
        expected.push(bytes);
        if (random.oneIn(3)) out.bytes(Buffer.concat([Buffer.from("<<"), bytes]), 2, 2 + bytes.length);
        else out.text(text);
      }
      const lent = out.lend();
      expect(lent.bytes.equals(Buffer.concat(expected))).toBe(true);
      if (random.oneIn(2)) lent.giveBack();
    }
  });

  it("stands until its memory is given back, whatever others write", () => {
    const first = new AnswerBytes();
    first.text("first");
    const second = new AnswerBytes();
    second.text("second");
    const lent = first.lend();
    second.lend().giveBack();
    new AnswerBytes().text("third");
    expect(lent.bytes.toString()).toBe("first");
  });
});

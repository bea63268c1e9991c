import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { AnswerBytes, writtenText } from "../../src/serve/answer-bytes.ts";
import { SpareBlocks } from "../../src/serve/spare-blocks.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const small = (): SpareBlocks => new SpareBlocks({ firstBytes: 8, sparesMax: 2, spareBytesMax: 1000 });

describe("an answer that is put together as bytes", () => {
  it(`is its parts, whatever they are and whatever was written there before (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const letters = ["a", "\u007f", "ü", "東", "✈", "🛫", "\ud83d", '"', "0"];
    for (let round = 0; round < 60; round++) {
      const out = new AnswerBytes(random.oneIn(2) ? small() : undefined);
      let expected = Buffer.alloc(0);
      const parts = random.integer(0, 60);
      for (let part = 0; part < parts; part++) {
        const isPlain = random.oneIn(2);
        const length = random.oneIn(8) ? random.integer(0, 60_000) : random.integer(0, 130);
        const text = Array.from({ length }, () => (isPlain ? "x" : random.pick(letters))).join("");
        const bytes = Buffer.from(text);
        const at = random.integer(0, expected.length);
        switch (random.integer(0, 6)) {
          case 0:
            out.bytes(Buffer.concat([Buffer.from("<<"), bytes]), 2, 2 + bytes.length);
            break;
          case 1:
            out.latin1(bytes.toString("latin1"));
            break;
          case 2:
            out.all(bytes);
            break;
          case 3:
            out.insert(at, bytes);
            expected = Buffer.concat([expected.subarray(0, at), bytes, expected.subarray(at)]);
            continue;
          case 4:
            out.cut(at);
            expected = expected.subarray(0, at);
            continue;
          default:
            out.text(text);
        }
        expected = Buffer.concat([expected, bytes]);
      }
      expect(out.length).toBe(expected.length);
      const lent = out.lend();
      expect(lent.bytes.equals(expected)).toBe(true);
      expect(out.length).toBe(0);
      if (random.oneIn(2)) lent.giveBack();
    }
  });

  it("has whole numbers as their digits", () => {
    const numbers = [0, 1, 9, 10, 99, 100, 2 ** 31, 2 ** 32 + 5, 999_999_999_999_999, Number.MAX_SAFE_INTEGER];
    for (const number of numbers) expect(writtenText((out) => out.wholeNumber(number))).toBe(String(number));
    expect(writtenText((out) => out.wholeNumber(7, 3))).toBe("007");
  });

  it("stands until its memory is given back, whatever others write", () => {
    const spares = small();
    const first = new AnswerBytes(spares);
    first.text("first");
    const second = new AnswerBytes(spares);
    second.text("second");
    const lent = first.lend();
    second.lend().giveBack();
    new AnswerBytes(spares).text("third");
    expect(lent.bytes.toString()).toBe("first");
  });

  it("is not written over while the socket has not taken it, and its memory is used again once it has", () => {
    const taken: Buffer[] = [];
    let goOn: (() => void) | null = null;
    const slow = new Writable({
      write(chunk: Buffer, _encoding, done) {
        taken.push(chunk);
        goOn = done;
      },
    });
    const quick = new Writable({ write: (_chunk, _encoding, done) => done() });
    const spares = small();
    const blocks = new Set<ArrayBufferLike>();
    for (let i = 0; i < 20; i++) {
      const out = new AnswerBytes(spares);
      out.text(`to ${i}`);
      blocks.add(out.block.buffer);
      const to = i === 3 ? slow : quick;
      out.sendTo({
        send(bytes, length) {
          to.write(bytes.subarray(0, length));
          return to.writableLength === 0;
        },
      });
    }
    expect(taken.map(String)).toEqual(["to 3"]);
    expect(blocks.size).toBe(2);
    goOn!();
  });
});

/** Ways to spoil the bytes of valid requests, and to cut them up: what the fuzz tests of the doors send. */
import type { SeededRandom } from "../../src/testing/random.ts";

/** Bytes that mean something to one protocol or another, and numbers at the edges. */
const TOKENS: readonly string[] =
  "\r\n,\r,\n,\0,\xff,*,$,-,+,:,%,\",',\\,{,},[,],|, ,-1,0,1,4294967296,9007199254740993,99999999999999999999999999,1e9,*0\r\n,$-1\r\n".split(
    ",",
  );

export function randomBytes(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
}

/** A few random changes: bytes changed, put in, left out, doubled, moved. */
export function mutate(bytes: Buffer, random: SeededRandom): Buffer {
  let mutated = bytes;
  for (let changes = random.integer(1, 4); changes > 0; changes--) mutated = mutateOnce(mutated, random);
  return mutated;
}

function mutateOnce(bytes: Buffer, random: SeededRandom): Buffer {
  const at = random.integer(0, bytes.length);
  const end = Math.min(bytes.length, at + random.integer(1, 20));
  const before = bytes.subarray(0, at);
  const part = bytes.subarray(at, end);
  const after = bytes.subarray(end);
  switch (random.integer(0, 5)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, part, part, after]);
    case 2:
      return Buffer.concat([before, Buffer.from(random.pick(TOKENS), "latin1"), part, after]);
    case 3:
      return Buffer.concat([before, Buffer.from(random.pick(TOKENS), "latin1"), after]);
    case 4:
      return Buffer.concat([before, part.map((byte) => byte ^ (1 << random.integer(0, 7))), after]);
    default:
      return Buffer.concat([after, before, part]);
  }
}

/** The bytes in pieces: whole, byte by byte, or at random. */
export function split(bytes: Buffer, random: SeededRandom): Buffer[] {
  const longest = random.pick([1, 3, 50, 5000, bytes.length + 1]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = longest === 1 ? 1 : random.integer(1, longest);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

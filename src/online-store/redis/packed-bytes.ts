/**
 * Bytes that are mostly float64 cells, in fewer: memory is what a Redis costs. Lossless for any bytes; made for states,
 * whose cells are times near each other, small whole numbers, and values that come again.
 *
 * Bytes are taken in words of eight, little-endian, as on all machines that states are read on
 * (`src/fold/state-codec.ts`); before the first stands a word that both sides know. Each becomes a
 * code and what the code leaves open:
 *
 *     0                 all zero
 *     1 ... 8           the same word as so many before
 *     01 hhh lll        the word: without its h highest bytes and its l lowest, which are zero
 *     10 hhh lll        so, of the word xor the one before
 *     11 hhh lll        so, of the word xor the third before (an event often has three cells)
 *
 * The first byte of the packed form is the number of bytes that are no whole word; they stand at its end.
 */
const WORD_BYTES = 8;
const BACK_MAX = 8;
const CODES: readonly { readonly code: number; readonly back: number }[] = [
  { code: 0x40, back: 0 },
  { code: 0x80, back: 1 },
  { code: 0xc0, back: 3 },
];

/** Halves of the words of one value, low and high; reused, as packing is one turn. */
let words = new Uint32Array(1024);
let packed = new Uint8Array(1024 * 9);
const float = new Float64Array(1);
const floatHalves = new Uint32Array(float.buffer);

/** `known` is the word before the first. */
export function packBytes(bytes: Uint8Array, known: number): Uint8Array {
  const count = Math.floor(bytes.length / WORD_BYTES);
  reserve(count);
  setFloat(0, known);
  const tail = bytes.length - count * WORD_BYTES;
  packed[0] = tail;
  let end = 1;
  for (let word = 1; word <= count; word++) {
    const at = (word - 1) * WORD_BYTES;
    const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    const high = (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)) >>> 0;
    words[2 * word] = low;
    words[2 * word + 1] = high;
    const back = low === 0 && high === 0 ? 0 : distanceOf(word);
    if (back <= BACK_MAX) packed[end++] = back;
    else end = putShortest(word, end);
  }
  const whole = new Uint8Array(end + tail);
  whole.set(packed.subarray(0, end));
  whole.set(bytes.subarray(bytes.length - tail), end);
  return whole;
}

/** Throws a `RangeError` where this is not what `packBytes` gave. */
export function unpackBytes(given: Uint8Array, known: number): Uint8Array {
  return lendUnpacked(given, known).slice();
}

/** As `unpackBytes`; what is returned is good until the next call of any of these. */
export function lendUnpacked(given: Uint8Array, known: number): Uint8Array {
  const tail = given[0]!;
  const end = given.length - tail;
  if (tail >= WORD_BYTES || end < 1) throw new RangeError("these are no packed bytes");
  // A word takes at least its code.
  reserve(end);
  setFloat(0, known);
  let word = 0;
  for (let at = 1; at < end;) {
    const code = given[at++]!;
    word++;
    if (code <= BACK_MAX) {
      copyWord(word, code);
      continue;
    }
    const lowest = code & 7;
    const behind = WORD_BYTES - ((code >> 3) & 7);
    let low = 0;
    let high = 0;
    for (let byte = lowest; byte < behind; byte++) {
      const value = given[at++]!;
      if (byte < 4) low |= value << (8 * byte);
      else high |= value << (8 * byte);
    }
    const back = code < 0x80 ? 0 : code < 0xc0 ? 1 : 3;
    if (back > 0 && word >= back) {
      low ^= words[2 * (word - back)]!;
      high ^= words[2 * (word - back) + 1]!;
    }
    words[2 * word] = low;
    words[2 * word + 1] = high;
  }
  // Where the word before the first ends: the machine has them in memory as they are to be, low half and low byte first.
  const bytes = new Uint8Array(words.buffer, WORD_BYTES, word * WORD_BYTES + tail);
  for (let i = 0; i < tail; i++) bytes[word * WORD_BYTES + i] = given[end + i]!;
  return bytes;
}

function reserve(count: number): void {
  // The word before the first, and what is no whole word behind the last.
  if (words.length >= 2 * (count + 2)) return;
  words = new Uint32Array(4 * (count + 2));
  packed = new Uint8Array(18 * (count + 2));
}

function setFloat(word: number, value: number): void {
  float[0] = value;
  words[2 * word] = floatHalves[0]!;
  words[2 * word + 1] = floatHalves[1]!;
}

/** How far before a word the same one stands; past `BACK_MAX` where there is none so near. */
function distanceOf(word: number): number {
  const [low, high] = [words[2 * word]!, words[2 * word + 1]!];
  for (let back = 1; back <= BACK_MAX && back <= word; back++) {
    if (words[2 * (word - back)] === low && words[2 * (word - back) + 1] === high) return back;
  }
  return BACK_MAX + 1;
}

function copyWord(word: number, back: number): void {
  words[2 * word] = back === 0 ? 0 : words[2 * (word - back)]!;
  words[2 * word + 1] = back === 0 ? 0 : words[2 * (word - back) + 1]!;
}

function putShortest(word: number, at: number): number {
  let best = -1;
  let bestBytes = WORD_BYTES + 1;
  for (let i = 0; i < CODES.length; i++) {
    const { back } = CODES[i]!;
    if (back > word) continue;
    const bytes = WORD_BYTES - leadingZeroBytes(word, back) - trailingZeroBytes(word, back);
    if (bytes < bestBytes) [best, bestBytes] = [i, bytes];
  }
  const { code, back } = CODES[best]!;
  const [highest, lowest] = [leadingZeroBytes(word, back), trailingZeroBytes(word, back)];
  packed[at++] = code | (highest << 3) | lowest;
  const [low, high] = [lowOf(word, back), highOf(word, back)];
  for (let byte = lowest; byte < WORD_BYTES - highest; byte++) {
    packed[at++] = byte < 4 ? low >>> (8 * byte) : high >>> (8 * (byte - 4));
  }
  return at;
}

function lowOf(word: number, back: number): number {
  return back === 0 ? words[2 * word]! : (words[2 * word]! ^ words[2 * (word - back)]!) >>> 0;
}

function highOf(word: number, back: number): number {
  return back === 0 ? words[2 * word + 1]! : (words[2 * word + 1]! ^ words[2 * (word - back) + 1]!) >>> 0;
}

/** Of a word that is not all zero, so at most 7. */
function leadingZeroBytes(word: number, back: number): number {
  const high = highOf(word, back);
  return high === 0 ? 4 + (Math.clz32(lowOf(word, back)) >> 3) : Math.clz32(high) >> 3;
}

function trailingZeroBytes(word: number, back: number): number {
  const low = lowOf(word, back);
  return low === 0 ? 4 + trailingZeros(highOf(word, back)) : trailingZeros(low);
}

function trailingZeros(half: number): number {
  return (31 - Math.clz32(half & -half)) >> 3;
}

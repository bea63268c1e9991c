/**
 * Times and durations, written as bytes: what `formatMicros` and a number's text say, without a string for each.
 */
import { formatMicros, type Micros, MICROS_PER_SECOND } from "../base/micros.ts";
import type { AnswerBytes } from "./answer-bytes.ts";

const POINT = 0x2e;
const ZULU = 0x5a;

/** The second that was written last, and its text up to the seconds: the present comes again and again. */
let lastSecond = Number.NaN;
let lastSecondBytes: Uint8Array = new Uint8Array(0);

/** `formatMicros`. */
export function writeMicros(value: Micros, out: AnswerBytes): void {
  const second = Math.floor(value / MICROS_PER_SECOND);
  if (second !== lastSecond) {
    lastSecondBytes = Buffer.from(formatMicros((second * MICROS_PER_SECOND) as Micros).slice(0, -1));
    lastSecond = second;
  }
  out.all(lastSecondBytes);
  const fraction = value - second * MICROS_PER_SECOND;
  if (fraction > 0) {
    out.byte(POINT);
    if (fraction % 1000 === 0) out.wholeNumber(fraction / 1000, 3);
    else out.wholeNumber(fraction, 6);
  }
  out.byte(ZULU);
}

/** A number of so many thousandths, as its shortest text: `1500` is `1.5`. */
export function writeThousandths(thousandths: number, out: AnswerBytes): void {
  const whole = Math.floor(thousandths / 1000);
  let rest = thousandths - 1000 * whole;
  out.wholeNumber(whole);
  if (rest === 0) return;
  let digits = 3;
  for (; rest % 10 === 0; digits--) rest /= 10;
  out.byte(POINT);
  out.wholeNumber(rest, digits);
}

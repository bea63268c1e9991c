/**
 * How often a server looks for garbage in its whole heap: once it is four times what was left the last time, which is the
 * most that V8 would wait by itself. It goes by how fast memory is used up, and looks already at a tenth more where that
 * is slow, as in a server that keeps little of a request: every second then, for so many milliseconds that one request in
 * a hundred has to wait for it. How large the heap may become at all stays as it is.
 *
 * And what is new is always made among what is young. V8 notes which places of the code make what survives a young collection, as
 * the events of some pushes do that wait at a busy moment, and from then on makes what comes of there among what is old: for good,
 * however short-lived it is. There it is found dead by a look at the whole heap alone, and what it refers to, the rows of
 * each push, is kept until then, too.
 */
import { setFlagsFromString } from "node:v8";

const GROWTH_PERCENT = 300;

/** From now on. */
export function collectLessOften(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}

/** From now on: to be called before much is compiled, as code that is stays as it is. */
export function makeYoung(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}

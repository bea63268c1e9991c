/**
 * How often a server looks for garbage in its whole heap: once it is four times what was left the last time, which is the
 * most that V8 would wait by itself. It goes by how fast memory is used up, and looks already at a tenth more where that
 * is slow, as in a server that keeps little of a request: every second then, for so many milliseconds that one request in
 * a hundred has to wait for it. How large the heap may become at all stays as it is.
 */
import { setFlagsFromString } from "node:v8";

const GROWTH_PERCENT = 300;

/** From now on. */
export function collectLessOften(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}

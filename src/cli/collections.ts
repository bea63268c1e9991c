/**
 * How a server looks for garbage, so that nobody waits long for it. How large the heap may become at all stays as it is.
 *
 * - In the whole heap: once it is four times what was left the last time, which is the most that V8 would wait by itself. It
 *   goes by how fast memory is used up, and looks already at a tenth more where that is slow, as in a server that keeps
 *   little of a request: every second then, for so many milliseconds that one request in a hundred has to wait for it.
 * - Among what is new: each 4 MB, and not each 16 as V8 would as soon as much of it lived on. Nothing else is done
 *   meanwhile, and it takes as long as there is that lives: what was new and in use 50 ms ago is much less than what was in
 *   200 ms, so that each takes a fraction, and all together about as long.
 * - And what is new is always made among what is young. V8 notes which places of the code make what survives a young collection,
 *   as the events of some pushes do that wait at a busy moment, and from then on makes what comes of there among what is old:
 *   for good, however short-lived it is. There it is found dead by a look at the whole heap alone, and what it refers to, the
 *   rows of each push, is kept until then, too.
 *
 * What whoever started the process has set of it himself, by flags of Node's or NODE_OPTIONS, stays as he set it.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

const GROWTH_PERCENT = 300;
const NEW_BYTES_MAX = 4 * 1024 * 1024;
/** V8 has two halves, one of which is in use. */
const HALVES = 2;
/** Each of them says how large what there is for new objects is to be, or how it gets there. */
const NEW_SPACE_FLAGS = ["max-semi-space-size", "min-semi-space-size", "semi-space-growth-factor"];

/**
 * From now on. To be called before much is loaded and compiled: what there is for new objects is not made smaller, and code
 * that is compiled stays as it is.
 */
export function collectBriefly(): void {
  const given = givenFlags();
  if (!given.has("allocation-site-pretenuring")) setFlagsFromString("--no-allocation-site-pretenuring");
  if (!given.has("heap-growing-percent")) setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  if (!NEW_SPACE_FLAGS.some((flag) => given.has(flag))) keepNewSpaceSmall();
}

function keepNewSpaceSmall(): void {
  let mayGrow = false;
  setFlagsFromString("--semi-space-growth-factor=1");
  // The most that there may be can be set for a process that is yet to be started, not for this one. But V8 grows it by a
  // factor, behind a collection. While there is less, one turn that makes very much may make it grow further, to V8's own limit.
  const look = (): void => {
    const wanted = newSpaceBytes() < HALVES * NEW_BYTES_MAX;
    if (wanted === mayGrow) return;
    mayGrow = wanted;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  };
  new PerformanceObserver(look).observe({ entryTypes: ["gc"] });
}

/** Names of the flags that the process was started with, with hyphens, and without the "no" that turns one off. */
function givenFlags(): Set<string> {
  const inEnvironment = (process.env["NODE_OPTIONS"] ?? "").match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  const words = [...inEnvironment.map((word) => word.replaceAll('"', "")), ...process.execArgv];
  return new Set(words.map((word) => word.replace(/^--?(?:no[-_]?)?|=.*$/gs, "").replaceAll("_", "-")));
}

function newSpaceBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0;
}

/**
 * What the hot path allocates for a vector, in bytes: `npm run bench -- allocations [--json]`.
 *
 * `delay_model`, 20 features of three views, states in memory, is asked for one request at a time: in process, over the RESP
 * door and over the fast HTTP door, read each time and kept. Connections are none of the system's, so that what Node allocates
 * for one is left out. The goals are what `test/bench/allocations.test.ts` holds them to.
 */
import { hotPathAllocations } from "./allocations/hot-path.ts";
import { report } from "./report.ts";

const ROUNDS = 3;

const rounds: Awaited<ReturnType<typeof hotPathAllocations>>[] = [];
for (let round = 0; round < ROUNDS; round++) rounds.push(await hotPathAllocations());
const passed = rounds[0]!.map(({ name, bytesMax }, i) =>
  report({
    bench: "allocations",
    case: name,
    unit: "bytes",
    better: "lower",
    rounds: rounds.map((found) => found[i]!.bytes),
    goal: bytesMax,
  }),
);
process.exitCode = passed.every(Boolean) ? 0 : 1;

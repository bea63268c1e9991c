/**
 * docs/aggregations.md from the table in the code; `scripts/aggregations.mjs` writes it.
 */
import { AGGREGATION_TABLE } from "../../src/fold/aggregation-table.ts";

const HEAD = `# Aggregations

<!-- Written by \`node scripts/aggregations.mjs\` from src/fold/aggregation-table.ts. -->

Every aggregation takes \`.where(predicate)\`, and \`.over("1h")\` or \`.over({ last: 20 })\` where its windows say so;
without \`over\` it is over all events. Null inputs are skipped. Times are effective times: min(event time, known time).

`;

const TAIL = `
State is that of one group of events: there is one a feature without a window, and one a merged bucket of a windowed
one; events that are not merged keep their inputs instead. Features with the same input, predicate and parameters share
it, whatever their windows; quantiles of one column share one sketch, whatever q.

## Exact, or says so

With \`"metadata": "full"\` every served feature carries \`error\`: 0 where the value is exact, else the relative error
that the table states (for topK, by what share of all events a count may be too small). \`exact\` is true where the
error is 0 and the window starts exactly where it should.

Sketches are deterministic: their states and values have the same bits on every machine and Node version. The states of
countDistinct and quantile are functions of the set of values alone, however events were merged. Hashes are
MurmurHash3; quantile bins come from a float64's own bits; powers of two in decayed sums are computed here, not by the
engine's \`Math.pow\`. \`quantile\`, \`ewma\` and \`decayedSum\` are refused over a source that allows non-finite
numbers, as those have no place among their values.

The papers each method is from are named at the head of its file in \`src/fold/\`.

## By a category

    sum("amount").over("7d").by("category", { groups: ["food", "fun"] })

as the feature \`spent\` gives \`spent_food\`, \`spent_fun\` and \`spent_other\`: plain features, each typed, stored and
served on its own. \`other\` is all values not listed; an event whose category is null is in none. Values that are no
part of a name get one: \`{ groups: { new_york: "New York", level_9: 9 } }\`. At most 100 groups.

Lists (\`firstK\`, \`lastK\`, \`topK\`) and histograms are arrays. A histogram's counts stand in the order of its
categories, with all other values last, so that a model sees the same columns for ever.
`;

export function aggregationsPage(): string {
  const rows = Object.values(AGGREGATION_TABLE).map((facts) => [
    `\`${facts.call}\``,
    facts.computes,
    facts.takes,
    facts.result,
    facts.windows,
    facts.state,
    facts.exactness,
    facts.ofNothing,
  ]);
  const titles = [
    "aggregation",
    "computes",
    "of columns",
    "result",
    "windows",
    "state",
    "exactness and error",
    "of nothing",
  ];
  const lines = [titles, titles.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`);
  return HEAD + lines.join("") + TAIL;
}

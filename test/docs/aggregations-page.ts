/**
 * docs/aggregations.md from the table in the code; `scripts/aggregations.mjs` writes it.
 */
import { AGGREGATION_TABLE } from "../../src/fold/aggregation-table.ts";

const HEAD = `# Aggregations

<!-- Written by \`node scripts/aggregations.mjs\` from src/fold/aggregation-table.ts. -->

Every aggregation takes \`.where(predicate)\`, and \`.over("1h")\`, \`.over({ last: 20 })\` or
\`.over({ session: "30m" })\` where its windows say so; without \`over\` it is over all events. Null inputs are skipped. Times are effective times: min(event time, known time).

`;

const TAIL = `
State is that of one group of events: there is one a feature without a window, and one a merged bucket of a windowed
one; events that are not merged keep their inputs instead. Features with the same input, predicate and parameters share
it, whatever their windows; quantiles of one column share one sketch, whatever q.

## Exact, or says so

With \`"metadata": "full"\` every served feature carries \`error\`: 0 where the value is exact, else the relative error
that the table states (for topK and topCounts, by what share of all events a count may be too small, for topOther too
large; for countSessions, by what share of itself it may be off). \`exact\` is true where the error is 0 and the window
starts exactly where it should: always so within an entity's newest 128 events, or as many as the view's
[\`exactEvents\`](definitions.md#aggregations) says.

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

Where nobody knows the categories beforehand, three aggregations over one shared state find them:

    categories: topK("category", 5).over("7d"),
    category_counts: topCounts("category", 5).over("7d"),
    other_categories: topOther("category", 5).over("7d"),

\`category_counts\` stands in the order of \`categories\`, and with \`other_categories\` it adds up to all events that had a
category. Up to 256 different values are counted exactly; past that \`error\` states by what share of all events a count
may be too small, and what is not counted is in \`other_categories\`. Sums and means by a category need its groups listed.

## Sessions

\`.over({ session: "30m" })\` computes over the entity's present session: its events as long as none comes more than 30
minutes behind the one before, read at \`asOf\`. Once \`asOf\` is more than 30 minutes behind the last event there is no
session, and the value is that of nothing. All events of the entity make its sessions; \`where\` chooses among those of
the present one. A session reaches back at most \`max\`, a day unless said otherwise
(\`{ session: "30m", max: "2d" }\`, at most 5000 gaps); a longer one is cut at \`(asOf - max, asOf]\`.

Sessions are exact whatever comes late: an event that bridges two joins them. Old events are merged only as coarsely as
no gap can hide in, by the longest hop (1s 5s 15s 30s 1m 5m 15m 1h ...) that fits in the gap: with a gap of 30 minutes
there are at most 96 buckets a day, with one of a minute 1,440. Only where \`max\` cuts a session of a busy entity may the
cut lie later by less than a hop, and \`window_start\` says where.

\`countSessions({ gap: "30m" })\` counts sessions over any window or all time. It keeps its newest 64 sessions open to late
events. One that comes later than those is not counted in, which may make the number wrong by one, and \`error\` says so.

## Sequences

    viewed: sequence(["item_id", "price"], { length: 20 }).over("7d")

gives \`viewed_item_id\`, \`viewed_price\` and \`viewed_at\` (the source's event time): lists of the last 20 events, oldest
first, in the order of effective time. They are always of one length, and one place in all is one event: an event in
which one of the columns is null is left out of every list. To keep those, derive a column: \`coalesce\` gives a null a
value. The lists are null where there is no event, and \`where\`, \`over\`, \`ttl\` hold for all of them.

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

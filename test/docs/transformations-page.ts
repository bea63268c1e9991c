/**
 * docs/transformations.md from the table in the code; `scripts/transformations.mjs` writes it.
 */
import { TRANSFORMATION_TABLE } from "../../src/define/transformation-table.ts";

const HEAD = `# Transformations

<!-- Written by \`node scripts/transformations.mjs\` from src/define/transformation-table.ts and test/docs/transformations-page.ts. -->

What a model wants of a feature is often not the feature: a mean scaled by its deviation, a carrier as a list of zeros with
a single one. A service declares it, \`onefold fit\` computes the parameters on the train split of a training set and stores
them under a version, and serving, training and the audit apply that very version. A test loads, fits, serves and trains the
file below as it stands.

\`\`\`ts
import { count, cross, entity, impute, last, log1p, mean, oneHot, quantileBins, service, standardize, stream, t, view } from "onefold";

export const airport = entity("airport", { origin: t.string() });
export const arrivals = stream("arrivals", {
  columns: { origin: t.string(), carrier: t.string(), arrived_at: t.timestamp(), delay: t.float64().nullable() },
  eventTime: "arrived_at",
});
export const delays = view("delays", {
  entity: airport,
  source: arrivals,
  features: { flights_1d: count().over("1d"), mean_delay_1d: mean("delay").over("1d"), carrier: last("carrier") },
});

export const delayModel = service("delay_model", {
  features: [delays],
  transform: {
    mean_delay_1d: standardize(impute("mean_delay_1d", "median")), // a feature's name: in its place
    carrier_slots: oneHot("carrier", { max: 2 }), // a new name: behind all others, in order
    busy: quantileBins(log1p("flights_1d"), { bins: 4 }),
    carrier_and_busy: cross(["carrier", quantileBins(log1p("flights_1d"), { bins: 4 })], { buckets: 1000 }),
  },
  omit: ["carrier"], // read to be transformed, not in the vector
});
\`\`\`

Each takes the name of a feature of the service, of a view or an [on-demand view](on-demand.md), or another transformation;
names always mean features as they are read, never other entries of \`transform\`. What is written twice is computed once.
\`Vector<typeof delayModel>\` knows the result, and standardizing a string does not compile.

## Fit, serve, train

\`\`\`sh
onefold fit --service delay_model --labels labels.csv --train-until 2026-01-05
\`\`\`

joins the label rows with the untransformed features, point in time as \`onefold train\` does, and fits to the rows of the
train split alone: labels before a time (\`--train-until\`), the earliest share of them (\`--train-share 0.8\`), or those where
a column has a value (\`--split-column part=train\`). The fit is stored as \`registry/fits/delay_model/1.json\`, once and for all:
the next one is 2. It holds the parameters in plain words, the split, the manifest of the training set and the definition
of the service. In code it is \`platform.fit(...)\`; \`GET /services/{name}/fits\` lists them.

From then on \`get\`, HTTP and \`train\` transform with the newest fit of the service as it is defined now, and say which one
it was: \`metadata.fit\`, and \`services[].fit\` with its hash in a training set's manifest. \`--fit 1\` (\`"fit": 1\` over HTTP) asks for
one fit, and brings the definition that it is of, even after the service was defined anew: a model and its transformations
stay together. The token of a vector carries the fit it was served with, so with \`--knowledge as-served\` each label row is
transformed by its own fit, and by the definition which that is of: rows of several fits may stand in one file, as long as
they have the columns that the service has now (rows that have not are refused, and trained by themselves with \`--fit\`).
A token from before tokens carried fits counts as one of the newest. The manifest counts the rows of each fit in \`services[].fits\`.

A service that is redefined has to be fitted again, and answers \`SERVICE_NOT_FITTED\` until it is.

\`onefold fit\` works beside a running server, on the events that the server has archived (it does so every five seconds).
The server looks for new fits every second and serves one from the next request on, without a restart: one that is whole by
its checksum. One that is not (copied there by hand, and not to the end) leaves served what was served;
\`onefold_fits_unread\` counts those. A damaged fit that a server finds when it starts is refused instead, with
\`FIT_CORRUPT\`, until the file is restored or the service fitted again.

After five arrivals at ATL, \`onefold get --service delay_model --entity origin=ATL\` gives

\`\`\`json
SAID
\`\`\`

## What there is

`;

const SAID = {
  flights_1d: 5,
  mean_delay_1d: (20 - 10) / Math.sqrt(50),
  carrier_slots: [1, 0, 0],
  busy: 3,
  carrier_and_busy: 127,
};

const TAIL = `
"the train split" is all that a fit sees: its rows in the order of the file, without nulls and without numbers that are not
finite. A transformation whose feature has no value there cannot be fitted: \`onefold fit\` says which, and stores nothing.
Options are part of the definition and its fingerprint, those left out with their defaults.

## Null, unseen, error

| input | result | status |
|---|---|---|
| a value | a value | the input's |
| null | null | the input's: it says why |
| null, imputed | the value that stands in | \`PRESENT\` for \`NULL_VALUE\`, else the input's: the entity is still unseen, the value too old or an error |
| a value of which no result is finite, a custom \`apply\` that throws, an unseen category declared \`"error"\` | null | \`ERROR\`, code \`TRANSFORMATION_FAILED\` |
| an unseen category declared \`"null"\` | null | \`NULL_VALUE\` |
| several | null where one of them is | the gravest of theirs |

\`"metadata": "full"\` names each value's transformation and the view it comes from, and is as old as the oldest feature
behind it.

## The same bits

A served transformed vector equals the training row bit for bit, and the audit computes both steps again: what was read,
and what was made of it, with the fit and the definition of that time. Only operations that IEEE 754 makes exact are used;
\`log1p\` is computed here (after fdlibm), not by the engine; sums keep their rounding error; quantiles are exact, by sorting;
hashes are MurmurHash3; -0 is 0. Parameters are JSON numbers, which come back to the bit.

\`standardize\`, \`minMax\`, \`impute\`, \`oneHot\` and \`ordinal\` are held against scikit-learn, whose conventions they share:
the deviation is that of n, a constant column is divided by 1. \`quantileBins\` differs in one place: where many values are
equal to the largest, it keeps the boundary there, and scikit-learn drops it.

## One's own

\`\`\`ts
export const capped = customTransformation("capped", {
  output: t.float64(),
  fit: (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!,
  apply: (value: number, most) => Math.min(value, most),
});
// transform: { fare: standardize(capped("fare")) }
\`\`\`

Both functions are pure. \`fit\` returns JSON data, which \`apply\` is given frozen; null never reaches them. They are
fingerprinted by [the code that they reach](definitions.md#what-counts-as-their-code).
`;

export function transformationsPage(): string {
  const rows = Object.values(TRANSFORMATION_TABLE).map((facts) => [
    facts.call
      .split(/, (?=impute)/)
      .map((call) => `\`${call}\``)
      .join(", "),
    facts.computes,
    facts.takes,
    facts.result,
    facts.fittedTo,
    facts.ofNull,
    facts.ofUnseen,
  ]);
  const titles = [
    "transformation",
    "computes",
    "of",
    "result",
    "fitted to",
    "of null",
    "of what the split did not have",
  ];
  const lines = [titles, titles.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`);
  return (
    HEAD.replace(
      "SAID",
      JSON.stringify(SAID)
        .replaceAll(/([:,])(?=\S)/g, "$1 ")
        .replace("{", "{ ")
        .replace("}", " }"),
    ) +
    lines.join("") +
    TAIL
  );
}

/** `onefold forget`: removes all that is kept of an entity. */
import { Command } from "commander";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withStandardOptions } from "../standard-options.ts";

export function forgetCommand(): Command {
  const command = new Command("forget")
    .description("remove all that is kept of an entity: events, states, feature rows, dead letters, served vectors")
    .argument("<entity>", "name of the entity")
    .argument("<key...>", "its key: one value for each key column, in the entity's order")
    .option("--shared", "also where its events are folded for others, whose values change")
    .action(async (entity: string, key: string[], options: StandardOptions & { readonly shared?: true }) => {
      const shared = options.shared === true;
      const work = { work: "forget", asked: { entity, key, shared } };
      const report = await asOwner(options, "own", {}, work, (platform) => platform.forget(entity, key, { shared }));
      createOutput(options.json === true).result(report, () => {
        const { sources, events, retractions, states, featureRows, deadLetters, servedVectors, refolded } = report;
        const counts = [
          [events, "events"],
          [retractions, "retractions"],
          [states, "states"],
          [featureRows, "feature rows"],
          [deadLetters, "dead letters"],
          [servedVectors, "served vectors"],
        ] as const;
        const removed = counts.map(([count, what]) => `${formatCount(count)} ${what}`).join(", ");
        const anew = refolded === 0 ? "" : `; ${formatCount(refolded)} states of others folded anew`;
        return `forgotten: ${entity} ${report.key}, in ${sources.length === 0 ? "no source" : sources.join(", ")}: ${removed}${anew}`;
      });
    });
  return withStandardOptions(command);
}

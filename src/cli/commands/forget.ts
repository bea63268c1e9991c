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
    .action(async (entity: string, key: string[], options: StandardOptions) => {
      const work = { work: "forget", asked: { entity, key } };
      const report = await asOwner(options, "own", {}, work, (platform) => platform.forget(entity, key));
      createOutput(options.json === true).result(report, () => {
        const { sources, events, retractions, states, featureRows, deadLetters, servedVectors } = report;
        const counts = [
          [events, "events"],
          [retractions, "retractions"],
          [states, "states"],
          [featureRows, "feature rows"],
          [deadLetters, "dead letters"],
          [servedVectors, "served vectors"],
        ] as const;
        const removed = counts.map(([count, what]) => `${formatCount(count)} ${what}`).join(", ");
        return `forgotten: ${entity} ${report.key}, in ${sources.length === 0 ? "no source" : sources.join(", ")}: ${removed}`;
      });
    });
  return withStandardOptions(command);
}

/** `onefold drop`: takes drafts out of the registry and gives their states' space back. */
import { Command } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import { formatViewName } from "../../define/definition.ts";
import { bareNameOf } from "../../define/service-version.ts";
import type { PlannedChange } from "../../registry/registry.ts";
import { formatChanges } from "../change-text.ts";
import { parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { accessToRegister, asOwner, type StandardOptions, withStandardOptions } from "../standard-options.ts";

export function dropCommand(): Command {
  const command = new Command("drop")
    .description("drop drafts with their states; numbered versions stay")
    .argument("<draft...>", "drafts, as name@dev")
    .action(async (names: string[], options: StandardOptions) => {
      const drafts = names.map(draftName);
      const work = { work: "drop", asked: { drafts } };
      const changes = await asOwner(options, accessToRegister(options, "own"), {}, work, async (platform) => {
        const dropped: PlannedChange[] = [];
        for (const draft of drafts) dropped.push(await platform.dropDraft(draft));
        return dropped;
      });
      createOutput(options.json === true).result({ changes }, () => formatChanges(changes));
    });
  return withStandardOptions(command);
}

function draftName(text: string): string {
  const { view, version } = parseViewName(text);
  if (version === "dev") return view;
  const name = version === undefined ? view : formatViewName({ name: view, version });
  const bare = bareNameOf(view);
  throw new OnefoldError("REQUEST_INVALID", `${name} is no draft: what is registered under a number stays`, {
    hint: `name a draft, as ${bare}@dev`,
  });
}

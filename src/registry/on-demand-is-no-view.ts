/** What to say where a view is asked for by its events, and the name is that of an on-demand view. */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName, type OnDemandDefinition } from "../define/definition.ts";

/** `VIEW_UNKNOWN`, with what to do instead; its inputs' views are the candidates. */
export function onDemandIsNoView(definition: OnDemandDefinition): OnefoldError {
  const { definedAt } = definition;
  const views = [...new Set(definition.inputs.map(({ view, version }) => formatViewName({ name: view, version })))];
  const inputs = views.length === 0 ? "" : `, or ask the same of its inputs: ${views.join(", ")}`;
  return new OnefoldError(
    "VIEW_UNKNOWN",
    `${formatViewName(definition)} is an on-demand view: it holds no events, its values are computed for each request`,
    {
      hint: `run it with expectOnDemand in a test, or with onefold get --service and --request${inputs}`,
      ...(definedAt === undefined ? {} : { where: `${definedAt.file}:${definedAt.line}` }),
      ...(views.length === 0 ? {} : { candidates: views }),
    },
  );
}

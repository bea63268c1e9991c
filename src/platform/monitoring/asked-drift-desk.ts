/** Drift as it is asked for over HTTP: as JSON, and never of a file that a caller names. */
import { OnefoldError } from "../../base/errors.ts";
import { measureNamed } from "../../monitor/drift/choose-measure.ts";
import { reportToJson, sideToJson } from "../../monitor/drift/report-json.ts";
import type { DriftDesk as AskedDesk } from "../../serve/drift-desk.ts";
import type { DriftDesk } from "./drift-desk.ts";
import { SERVED_TEST_MAX } from "./hourly-drift.ts";

export function askedDriftDesk(desk: DriftDesk): AskedDesk {
  return {
    services: () => desk.services(),
    report: async ({ service, baseline, current, of, measure, threshold }) => {
      const report = await desk.report({
        service,
        ...(baseline === undefined ? {} : { baseline: noFile(baseline) }),
        ...(of === "folded" ? { of } : {}),
        ...(current === undefined ? {} : { current: noFile(current) }),
        settings: {
          exactTestMax: SERVED_TEST_MAX,
          ...(measure === undefined ? {} : { measure: measureNamed(measure) }),
          ...(threshold === undefined ? {} : { threshold }),
        },
      });
      return reportToJson(report);
    },
    choose: async (service, baseline) => {
      if (baseline === null) {
        await desk.forgetChosen(service);
        return { service, baseline: null };
      }
      return { service, baseline: sideToJson(await desk.choose(service, noFile(baseline))) };
    },
  };
}

function noFile(source: string): string {
  if (!source.startsWith("file:")) return source;
  throw new OnefoldError("PATH_NOT_ALLOWED", "a request may not name a file of the server", {
    hint: "onefold drift reads files, on the server's machine",
  });
}

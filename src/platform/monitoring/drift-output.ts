/** What commands print of drift; apart from what computes it, which takes a moment to load. */
export { measureNamed } from "../../monitor/drift/choose-measure.ts";
export { reportToJson, sideToJson } from "../../monitor/drift/report-json.ts";

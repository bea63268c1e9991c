/** Drift reports as a page; apart, because what draws the plots takes a moment to load. */
export { reportsToHtml } from "../../monitor/drift/report-html.ts";

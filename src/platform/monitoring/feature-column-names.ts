/** What features can be listed by; apart from what computes it, which takes a moment to load. */
export { FEATURE_COLUMNS } from "../../serve/feature-list-desk.ts";

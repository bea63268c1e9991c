/**
 * `onefold/testing`: what tests of features, of the platform, and of code built on it, are written with.
 */
export { ReplayClock } from "../base/clock.ts";
export { type ConformanceCase } from "./conformance-case.ts";
export { type GeneratedEvent, randomEvents } from "./event-generator.ts";
export {
  expectOnDemand,
  type Given,
  inputError,
  type OnDemandExpectation,
  type OnDemandReading,
} from "./expect-on-demand.ts";
export { type ViewHistory, type ViewReading, expectView } from "./expect-view.ts";
export { type ExpectedValue, type Tolerance } from "./expected-value.ts";
export { type FailingOperation, ForgetfulStorage } from "./forgetful-storage.ts";
export { generatedEntity, generatedSource } from "./generated-source.ts";
export { type GivenRow, late, rejected, type TimeInput } from "./given-row.ts";
export { localOnlineStoreCases } from "./local-store-conformance.ts";
export { NaiveOracle, type OracleAnswer } from "./naive-oracle.ts";
export { onlineStoreCases } from "./online-store-conformance.ts";
export { MemoryOnlineStore } from "../online-store/memory.ts";
export { type Reading } from "./reading.ts";
export { SeededRandom } from "./random.ts";
export { randomView } from "./view-generator.ts";

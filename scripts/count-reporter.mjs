/**
 * A Vitest reporter that writes how many tests passed, failed and were skipped to the file named by
 * ONEFOLD_TEST_COUNTS, as JSON, and lists the skipped ones. A module that fails to load, a hook that fails, or an error outside any test, is a
 * failure.
 */
import { writeFileSync } from "node:fs";

export default class CountReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const skipped = [];
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const testModule of testModules) {
      if (testModule.errors().length > 0) counts.failed += 1;
      for (const suite of testModule.children.allSuites()) if (suite.errors().length > 0) counts.failed += 1;
      for (const test of testModule.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") counts.passed += 1;
        else if (state === "skipped") skipped.push(`${testModule.relativeModuleId}: ${test.fullName}`);
        else counts.failed += 1;
      }
    }
    counts.skipped = skipped.length;
    if (skipped.length > 0) process.stdout.write(`\nNot run:\n${skipped.map((name) => `  ${name}\n`).join("")}`);
    writeFileSync(process.env.ONEFOLD_TEST_COUNTS, JSON.stringify(counts));
  }
}

/**
 * A Vitest reporter that writes how many tests passed, failed and were skipped to the file named by
 * ONEFOLD_TEST_COUNTS, as JSON, and lists the skipped ones. A module that fails to load, a hook that fails, or an error outside
 * any test, is a failure. Each is named with the first line of its first error, for whoever sees only the end of a long log.
 */
import { writeFileSync } from "node:fs";

export default class CountReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const skipped = [];
    const failures = unhandledErrors.map((error) => failure("outside any test", [error]));
    const counts = { passed: 0, failed: 0, skipped: 0, failures };
    for (const testModule of testModules) {
      const { relativeModuleId: file } = testModule;
      if (testModule.errors().length > 0) failures.push(failure(file, testModule.errors()));
      for (const suite of testModule.children.allSuites()) {
        if (suite.errors().length > 0) failures.push(failure(`${file}: ${suite.fullName}`, suite.errors()));
      }
      for (const test of testModule.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === "passed") counts.passed += 1;
        else if (state === "skipped") skipped.push(`${file}: ${test.fullName}`);
        else failures.push(failure(`${file}: ${test.fullName}`, errors));
      }
    }
    counts.failed = failures.length;
    counts.skipped = skipped.length;
    if (skipped.length > 0) process.stdout.write(`\nNot run:\n${skipped.map((name) => `  ${name}\n`).join("")}`);
    writeFileSync(process.env.ONEFOLD_TEST_COUNTS, JSON.stringify(counts));
  }
}

function failure(name, [error]) {
  const [line = ""] = (error?.message ?? "").split("\n");
  return line === "" ? name : `${name}: ${line.slice(0, 300)}`;
}

# SPDX-License-Identifier: Apache-2.0
"""Runs one unittest file and reports in TAP, the protocol of tests/run_tests.sh: tap.py tests/test_NAME.py"""
import importlib.util
import pathlib
import sys
import traceback
import unittest


class TapResult(unittest.TestResult):
    def report(self, test, ok, note="", error=None):
        print(f"{'ok' if ok else 'not ok'} {self.testsRun} - {test.id().split('.', 1)[-1]}{note}", flush=True)
        if error:
            for line in "".join(traceback.format_exception(*error)).splitlines():
                print("#", line, flush=True)

    def addSuccess(self, test):
        self.report(test, True)

    def addSkip(self, test, reason):
        self.report(test, True, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report(test, False, error=err)

    def addError(self, test, err):
        super().addError(test, err)
        self.report(test, False, error=err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.report(subtest, False, error=err)


def main():
    path = pathlib.Path(sys.argv[1])
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)


main()

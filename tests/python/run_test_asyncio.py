"""Runs the interpreter's own tests of asyncio with PyLoop in place of the selector loop.

    python tests/python/run_test_asyncio.py                       every module
    python tests/python/run_test_asyncio.py test_events -k timer  some of it
    python tests/python/run_test_asyncio.py --loop asyncio        the same with asyncio's loop, to compare
    python tests/python/run_test_asyncio.py --park-in-tokio       with every wait in Tokio

Each module runs in a process of its own with a time limit. Tests that cannot pass are listed in
`cpython_exclusions.txt`, each with its reason.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXCLUSIONS = HERE / "cpython_exclusions.txt"
# For other systems, or for loops that this one does not stand for.
SKIPPED_MODULES = {"test_proactor_events", "test_windows_events", "test_windows_utils"}
SLOW_MODULES = {"test_events", "test_subprocess", "test_ssl", "test_tasks", "test_eager_task_factory"}


def modules() -> list[str]:
    """The test modules of this interpreter."""
    import test.test_asyncio

    folder = Path(test.test_asyncio.__file__).parent
    return sorted(path.stem for path in folder.glob("test_*.py") if path.stem not in SKIPPED_MODULES)


def exclusions() -> dict[str, str]:
    """Excluded tests with their reasons. A name ends where the test's name ends, or is a prefix with `*`."""
    found = {}
    for line in EXCLUSIONS.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            assert reason.strip(), f"no reason for {name}"
            found[name.strip()] = reason.strip()
    return found


def is_excluded(name: str, excluded: dict[str, str]) -> bool:
    return any(name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])) for pattern in excluded)


def inject(kind: str) -> list[int]:
    """Makes PyLoop the loop that the tests get wherever they ask for a selector loop; counts those that were made."""
    import asyncio

    made = [0]
    if kind == "asyncio":
        return made
    from ziggurat._loop import PyLoop

    class InjectedLoop(PyLoop):
        # The tests pass selectors of several kinds; PyLoop has its own.
        def __new__(cls, selector: Any = None) -> InjectedLoop:
            return super().__new__(cls, park_in_tokio=kind == "tokio")

        def __init__(self, selector: Any = None) -> None:
            made[0] += 1
            if selector is not None:
                selector.close()
            super().__init__()

    InjectedLoop.__name__ = InjectedLoop.__qualname__ = "PyLoop"
    asyncio.SelectorEventLoop = InjectedLoop  # type: ignore[misc]
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = InjectedLoop  # type: ignore[misc]
    asyncio.unix_events._UnixDefaultEventLoopPolicy._loop_factory = InjectedLoop  # type: ignore[attr-defined]
    return made


def walk(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from walk(test)
        elif isinstance(test, unittest.TestCase):
            yield test


class Result(unittest.TextTestResult):
    """Tells on the way what runs, so that a hang has a name."""

    def startTest(self, test: unittest.TestCase) -> None:
        (Path(os.environ["RESULT_FOLDER"]) / "current").write_text(short(test))
        super().startTest(test)


def short(test: unittest.TestCase) -> str:
    return test.id().removeprefix("test.test_asyncio.")


def run_inside(module: str, kind: str, pattern: str | None) -> None:
    """Runs one module in this process and writes the outcome as JSON."""
    faulthandler.enable()
    # A shell starts background jobs with SIGINT ignored, and then the tests of ^C would wait forever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    made = inject(kind)
    loader = unittest.TestLoader()
    if pattern:
        loader.testNamePatterns = [f"*{pattern}*"]
    suite = loader.loadTestsFromName(f"test.test_asyncio.{module}")
    excluded = exclusions() if kind != "asyncio" else {}
    chosen = [test for test in walk(suite) if not is_excluded(short(test), excluded)]
    left_out = suite.countTestCases() - len(chosen)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=0).run(unittest.TestSuite(chosen))
    bad = [(short(test), text) for test, text in (*result.failures, *result.errors) if hasattr(test, "id")]
    bad += [(short(test), "passed unexpectedly") for test in result.unexpectedSuccesses]
    outcome = {
        "run": result.testsRun,
        "skipped": len(result.skipped),
        "excluded": left_out,
        "bad": bad,
        "loops": made[0],
    }
    (Path(os.environ["RESULT_FOLDER"]) / "outcome").write_text(json.dumps(outcome))


def run_module(module: str, kind: str, pattern: str | None = None, timeout: float = 300) -> dict[str, Any]:
    """Runs one module in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", __file__, "--inside", "--loop", kind, module]
        if pattern:
            command += ["-k", pattern]
        environment = {**os.environ, "RESULT_FOLDER": folder}
        begun = time.monotonic()
        log = Path(folder) / "log"
        with log.open("w") as output:
            try:
                done = subprocess.run(
                    command, env=environment, timeout=timeout, stdout=output, stderr=subprocess.STDOUT, cwd=folder
                )
                why = f"exit {done.returncode}"
            except subprocess.TimeoutExpired:
                why = f"no end after {timeout} s"
        outcome = Path(folder) / "outcome"
        if outcome.exists():
            result: dict[str, Any] = json.loads(outcome.read_text())
        else:
            current = Path(folder) / "current"
            name = current.read_text() if current.exists() else module
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            result = {"run": 0, "skipped": 0, "excluded": 0, "loops": 0, "bad": [(name, f"{why}\n{tail}")]}
        result["seconds"] = time.monotonic() - begun
        return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("-k", dest="pattern", help="only tests whose name contains this")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the text of failures")
    parser.add_argument("--loop", choices=["pyloop", "tokio", "asyncio"], default="pyloop")
    parser.add_argument("--park-in-tokio", action="store_const", dest="loop", const="tokio")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--jobs", type=int, default=1, help="how many modules run at once")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        run_inside(options.modules[0], options.loop, options.pattern)
        return 0
    total = passed = 0
    chosen = options.modules or modules()
    # Those that take longest begin first.
    chosen.sort(key=lambda module: (module not in SLOW_MODULES, module))
    run = partial(run_module, kind=options.loop, pattern=options.pattern, timeout=options.timeout)
    pool = ThreadPoolExecutor(options.jobs)
    for module, result in zip(chosen, pool.map(run, chosen), strict=True):
        good = result["run"] - len({name for name, _ in result["bad"]})
        total, passed = total + result["run"], passed + good
        print(
            f"{module:24} {good}/{result['run']} passed, {result['skipped']} skipped, "
            f"{result['excluded']} excluded, {result['loops']} loops, {result['seconds']:.1f} s",
            flush=True,
        )
        for name, text in result["bad"]:
            print(f"    {name}: {text if options.verbose else text.strip().splitlines()[-1]}", flush=True)
    print(f"{passed}/{total}")
    return 0 if passed == total else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""A pytest plugin: each scenario file is a test, natrig's verdict its outcome.

A YAML file with the key `natrig:` at its top level is a scenario: the test
runs `natrig run --json FILE` and passes when the verdict is "holds". Where the
machine cannot run it (exit 3), it is skipped with natrig's reason.

A scenario with a real client in it has the mark `real`: `-m "not real"` leaves
out what takes real time.

A file whose first line is `# expect: LINE:COLUMN: TEXT` must be refused: the
test runs `natrig check-scenario FILE` and passes when that ends with exit 2
and names that place with that text, where "..." stands for any words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from natrig_orchestra import program
from natrig_orchestra.program import Claim, NatrigError, Status, Verdict

SCENARIO = re.compile(r"^natrig[ \t]*:", re.MULTILINE)
EXPECT = re.compile(r"# expect: (\d+):(\d+): (.+)")
# `client: tailscale`, `client: {kind: nebula, ...}`: no model's policy, a real client.
REAL = re.compile(
    r"(?:^|[{,])[ \t]*client:\s*(?:\{[^}]*\bkind:\s*)?(?!model\b)[a-z]", re.MULTILINE
)


class FallsShort(Exception):
    """What is shown of a scenario that does not do as it says."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which natrig, and how to run it."""
    group = parser.getgroup("natrig", "natrig scenarios")
    group.addoption(
        "--natrig",
        metavar="PROGRAM",
        help="the natrig to run (else $NATRIG, build/natrig, then PATH)",
    )
    group.addoption(
        "--natrig-args",
        metavar="ARGS",
        default="",
        help="more arguments for `natrig run`, as a shell would split them",
    )
    group.addoption(
        "--natrig-timeout",
        metavar="SECONDS",
        type=float,
        default=300,
        help="how long one scenario may run (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of scenarios that run a real client."""
    config.addinivalue_line("markers", "real: runs a real client, in real time")


def find_natrig(config: pytest.Config) -> Path:
    """Find the natrig that this session's options name."""
    return program.find(config.getoption("natrig"), config.rootpath)


def pytest_report_header(config: pytest.Config) -> str:
    """Name the natrig in use at the top of the report."""
    try:
        return f"natrig: {find_natrig(config)}"
    except NatrigError as error:
        return f"natrig: {error}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collect YAML files that are scenarios, whatever folder they are in."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")
    expect = EXPECT.match(text)
    if not expect and not SCENARIO.search(text):
        return None
    found = ScenarioFile.from_parent(parent, path=file_path)
    found.expect = expect
    if not expect and REAL.search(text):
        found.add_marker("real")
    return found


class ScenarioFile(pytest.File):
    """A scenario file: one test."""

    expect: re.Match[str] | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Make the file's one test."""
        if self.expect:
            line, column, text = self.expect.groups()
            yield RefusalItem.from_parent(self, name="refused", place=f"{line}:{column}", text=text)
        else:
            yield ScenarioItem.from_parent(self, name="holds")


class NatrigItem(pytest.Item):
    """What both kinds of test share."""

    def natrig(self, *arguments: str) -> program.Run:
        """Run natrig with ARGUMENTS on this test's file."""
        return program.run(
            find_natrig(self.config),
            *arguments,
            str(self.path),
            timeout_s=self.config.getoption("natrig_timeout"),
        )

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the test is: its file."""
        return self.path, 0, f"{self.shown()}: {self.name}"

    def shown(self) -> str:
        """Name the file as a person would: from the root of the session."""
        try:
            return str(self.path.relative_to(self.config.rootpath))
        except ValueError:
            return str(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show natrig's reasons, not this plugin's stack."""
        if isinstance(excinfo.value, (FallsShort, NatrigError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class ScenarioItem(NatrigItem):
    """The scenario's claim holds."""

    def runtest(self) -> None:
        """Run the scenario and turn its verdict into the test's outcome."""
        ran = self.natrig("run", "--json", *shlex.split(self.config.getoption("natrig_args")))
        if ran.status == Status.REFUSED:
            raise FallsShort(f"natrig refuses {self.shown()}:\n{ran.errors}")
        if ran.status == Status.CANNOT_RUN:
            pytest.skip(f"natrig cannot run here: {reason(ran)}")
        verdicts = ran.verdicts()
        if ran.status != Status.HOLDS or [one.verdict for one in verdicts] != ["holds"]:
            lines = [line for one in verdicts for line in describe(one, self.shown())]
            lines += [f"natrig's exit status: {ran.status}", ran.errors]
            raise FallsShort("\n".join(lines).rstrip())


class RefusalItem(NatrigItem):
    """The broken scenario is refused, and for the reason it was written for."""

    def __init__(self, place: str, text: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.place = place
        self.text = text.strip()

    def runtest(self) -> None:
        """Have the scenario checked and look for the error expected."""
        ran = self.natrig("check-scenario")
        words = [re.escape(part) for part in self.text.split("...")]
        wanted = rf"{re.escape(str(self.path))}:{self.place}: {'.*'.join(words)}"
        found = re.search(wanted, ran.errors)
        if ran.status != Status.REFUSED or not found:
            raise FallsShort(
                f"{self.shown()} is not refused as it should be\n"
                f"    expected: exit 2, and {self.shown()}:{self.place}: {self.text}\n"
                f"    got:      exit {ran.status}, and\n{ran.errors}"
            )


def reason(ran: program.Run) -> str:
    """Tell why natrig could not run: from its JSON, else its last words."""
    try:
        told = [one.error for one in ran.verdicts() if one.error]
    except NatrigError:
        told = []
    lines = ran.errors.strip().splitlines()
    return "; ".join(told) or (lines[-1] if lines else "it does not say why")


def describe(verdict: Verdict, shown: str) -> Iterator[str]:
    """Tell what falls short, line by line, and the packets that prove it."""
    yield f"{verdict.title}: {verdict.verdict.replace('-', ' ')}"
    if verdict.error:
        yield f"    {verdict.error}"
    for claim in verdict.steps + verdict.order:
        if claim.holds:
            yield f"ok: {claim.text}"
        else:
            yield from describe_shortfall(claim, shown)


def describe_shortfall(claim: Claim, shown: str) -> Iterator[str]:
    """Tell of one step or order statement what was expected and what came."""
    yield f"{shown}:{claim.line}: {claim.text}"
    if claim.expect:
        yield f"    expected: {claim.expect}"
    if claim.got:
        yield f"    got:      {claim.got}"
    for number, line in enumerate(claim.why.splitlines()):
        yield f"    {'because:' if number == 0 else '        '}  {line}"
    if claim.frames:
        yield f"    frames:   {', '.join(str(frame) for frame in claim.frames)}"

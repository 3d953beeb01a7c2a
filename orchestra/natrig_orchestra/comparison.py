# SPDX-License-Identifier: BSD-3-Clause
"""What natrig says of the same scenarios with several clients, side by side.

A column is a client (or a version of one, or a saved result); a row is a step
or an order statement of a scenario. Each cell is held against the first one of
its row that ran: that is what "differs" means here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import PurePath

from natrig_orchestra.known import Known
from natrig_orchestra.program import Claim, Verdict

HOLDS = "holds"
FALLS_SHORT = "falls-short"
COULD_NOT_RUN = "could-not-run"

WORDS = {HOLDS: "holds", FALLS_SHORT: "falls short", COULD_NOT_RUN: "could not run"}

# Two first replies this far apart are a difference. A handshake that got no
# answer is sent again after 5 s and up to 0.33 s more; where in that time a
# step begins is chance, so a try more or less proves nothing, but two do.
SLACK_S = 5.5

# The lines of a scenario's answer that are no step of it.
STATEMENT = "order"
VERDICT = "verdict"
WHOLE = "the verdict as a whole"


@dataclass
class Column:
    """A client, and what it answered."""

    name: str
    origin: str
    verdicts: list[Verdict] = field(default_factory=list)
    reason: str = ""
    file: str = ""
    interrupted: bool = False


@dataclass
class Cell:
    """What came of one row with one client."""

    outcome: str
    why: str = ""
    expect: str = ""
    got: str = ""
    path: str = ""
    first_reply_s: float | None = None
    frames: tuple[int, ...] = ()
    started_s: float | None = None
    ended_s: float | None = None
    differs: tuple[str, ...] = ()
    known: str = ""

    @property
    def ran(self) -> bool:
        """Whether there is an answer."""
        return self.outcome != COULD_NOT_RUN

    @property
    def fails(self) -> bool:
        """Whether somebody should look: it differs or falls short, unknown."""
        return not self.known and (bool(self.differs) or self.outcome == FALLS_SHORT)


@dataclass
class Row:
    """A step or an order statement, a cell a client."""

    kind: str
    text: str
    expect: str
    line: int
    cells: list[Cell]

    @property
    def label(self) -> str:
        """The row as the terminal of `natrig run` has it."""
        return f"{self.text}: {self.expect}" if self.expect else self.text

    @property
    def differs(self) -> bool:
        """Whether a cell differs, known or not."""
        return any(cell.differs for cell in self.cells)


@dataclass
class Scenario:
    """A scenario: its rows, and each client's verdict (None: not in it)."""

    file: str
    title: str
    verdicts: list[Verdict | None]
    rows: list[Row] = field(default_factory=list)

    @property
    def cells(self) -> Iterator[Cell]:
        """All cells, row by row."""
        return (cell for row in self.rows for cell in row.cells)

    @property
    def state(self) -> str:
        """One word: differs, falls-short, known, could-not-run or same."""
        cells = list(self.cells)
        if any(cell.differs and not cell.known for cell in cells):
            return "differs"
        if any(cell.outcome == FALLS_SHORT and not cell.known for cell in cells):
            return FALLS_SHORT
        if any(cell.known for cell in cells):
            return "known"
        ran = sum(
            any(row.cells[number].ran for row in self.rows) for number in range(len(self.verdicts))
        )
        return "same" if ran > 1 else COULD_NOT_RUN


@dataclass
class Comparison:
    """The whole matrix."""

    columns: list[Column]
    scenarios: list[Scenario]
    slack_s: float
    unused_known: list[Known] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        """Whether anything differs or falls short that is not known."""
        return any(cell.fails for one in self.scenarios for cell in one.cells)

    @property
    def ran(self) -> list[bool]:
        """Tell of each column whether it ran anything."""
        return [
            any(row.cells[number].ran for one in self.scenarios for row in one.rows)
            for number in range(len(self.columns))
        ]

    def count(self) -> Counter[str]:
        """Count scenarios by state."""
        return Counter(one.state for one in self.scenarios)


def name_columns(columns: Sequence[Column]) -> None:
    """Tell columns of one name apart: by their files, else model, model #2."""
    times = Counter(column.name for column in columns)
    for column in columns:
        if times[column.name] > 1 and column.file not in ("", column.name):
            column.name = f"{column.name} ({column.file})"
    seen: Counter[str] = Counter()
    for column in columns:
        seen[column.name] += 1
        if seen[column.name] > 1:
            column.name = f"{column.name} #{seen[column.name]}"


def compare(columns: list[Column], known: Sequence[Known], slack_s: float = SLACK_S) -> Comparison:
    """Lay the columns side by side and mark what differs."""
    scenarios: list[Scenario] = []
    for number, column in enumerate(columns):
        homes = find_homes(scenarios, column.verdicts)
        for verdict, home in zip(column.verdicts, homes):
            if not home:
                home = Scenario(verdict.file, verdict.title, [None] * len(columns))
                scenarios.append(home)
            home.verdicts[number] = verdict
    used: set[Known] = set()
    for scenario in scenarios:
        scenario.rows = list(make_rows(scenario, columns))
        for row in scenario.rows:
            mark(row, columns, slack_s)
            used |= mark_known(scenario, row, columns, known)
    return Comparison(columns, scenarios, slack_s, [one for one in known if one not in used])


def find_homes(scenarios: Sequence[Scenario], verdicts: Sequence[Verdict]) -> list[Scenario | None]:
    """Find the scenario that each verdict is of, where there is one already.

    Results from elsewhere may be in other folders: those belong together whose
    paths have the longest end in common; where that is but the file's name, the
    title must be the same.
    """
    pairs = [
        (common_end(one.file, verdict.file), -there, -here)
        for there, one in enumerate(scenarios)
        for here, verdict in enumerate(verdicts)
        if one.title == verdict.title or common_end(one.file, verdict.file) > 1
    ]
    homes: list[Scenario | None] = [None] * len(verdicts)
    taken: set[int] = set()
    for common, there, here in sorted(pairs, reverse=True):
        if common and homes[-here] is None and -there not in taken:
            homes[-here] = scenarios[-there]
            taken.add(-there)
    return homes


def common_end(one: str, other: str) -> int:
    """Count the parts at the end that two paths have in common."""
    pairs = zip(reversed(PurePath(one).parts), reversed(PurePath(other).parts))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def make_rows(scenario: Scenario, columns: Sequence[Column]) -> Iterator[Row]:
    """Bring the same steps and statements of each client together.

    The same words a second time are the second such step, so a scenario that
    had a step more when it was saved is still laid beside today's.
    """
    rows: dict[tuple[str, str, int], Row] = {}
    if not any(verdict and verdict.steps for verdict in scenario.verdicts):
        yield Row(VERDICT, WHOLE, "", 0, missing_cells(VERDICT, scenario, columns))
    for number, verdict in enumerate(scenario.verdicts):
        seen: Counter[tuple[str, str]] = Counter()
        for kind, claim in claims(verdict):
            seen[kind, claim.text] += 1
            key = (kind, claim.text, seen[kind, claim.text])
            if key not in rows:
                missing = missing_cells(kind, scenario, columns)
                rows[key] = Row(kind, claim.text, claim.expect, claim.line, missing)
            rows[key].cells[number] = make_cell(kind, claim, verdict)
    order = {STATEMENT: 1, VERDICT: 2}
    yield from sorted(rows.values(), key=lambda row: order.get(row.kind, 0))


def missing_cells(kind: str, scenario: Scenario, columns: Sequence[Column]) -> list[Cell]:
    """Make a row's cells of those that have nothing to say of it."""
    return [
        Cell(HOLDS)
        if kind == VERDICT and verdict and verdict.verdict == HOLDS
        else Cell(COULD_NOT_RUN, why=why_not(verdict, column))
        for verdict, column in zip(scenario.verdicts, columns)
    ]


def claims(verdict: Verdict | None) -> Iterator[tuple[str, Claim]]:
    """Give what a verdict is made of."""
    if not verdict:
        return
    all_hold = True
    for kind, part in (("step", verdict.steps), (STATEMENT, verdict.order)):
        for claim in part:
            all_hold = all_hold and claim.holds
            yield (claim.verb or kind) if kind == "step" else kind, claim
    if verdict.verdict == FALLS_SHORT and all_hold:
        yield VERDICT, Claim(WHOLE, 0, False, why=whole_reason(verdict))


def whole_reason(verdict: Verdict) -> str:
    """Tell why a scenario falls short of which each line holds."""
    dropped = verdict.lab.get("dropped")
    if dropped:
        return f"{dropped} packets are missing in the recording: it proves nothing"
    return verdict.error or "each line holds, but not the whole: see natrig run"


def make_cell(kind: str, claim: Claim, verdict: Verdict | None) -> Cell:
    """Make a cell of what natrig says of a step or a statement."""
    broken = verdict is not None and verdict.verdict == COULD_NOT_RUN
    if not claim.done or (broken and kind == STATEMENT):
        why = why_not(verdict, None)
        return Cell(COULD_NOT_RUN, why=why, expect=claim.expect, got=claim.got)
    return Cell(
        HOLDS if claim.holds else FALLS_SHORT,
        why=claim.why,
        expect=claim.expect,
        got=claim.got,
        path=claim.path or ("none" if kind == "ping" else ""),
        first_reply_s=claim.first_reply_s,
        frames=claim.frames,
        started_s=claim.started_s,
        ended_s=claim.ended_s,
    )


def why_not(verdict: Verdict | None, column: Column | None) -> str:
    """Tell why there is no answer in a cell."""
    if verdict and verdict.error:
        return verdict.error
    if verdict and verdict.interrupted:
        return "interrupted"
    if column and column.reason:
        return column.reason
    if column and not verdict:
        return "interrupted" if column.interrupted else f"not in {column.origin}"
    return "its scenario has no such line" if column else "not reached"


def mark(row: Row, columns: Sequence[Column], slack_s: float) -> None:
    """Hold each cell against the first of its row that ran."""
    first: tuple[Cell, str] | None = None
    for cell, column in zip(row.cells, columns):
        if not cell.ran:
            continue
        if first:
            cell.differs = tuple(differences(row.kind, cell, *first, slack_s))
        else:
            first = (cell, column.name)


def differences(kind: str, cell: Cell, base: Cell, name: str, slack_s: float) -> Iterator[str]:
    """Say in what a cell is unlike the one of the client NAME."""
    if cell.outcome != base.outcome:
        yield f"{WORDS[cell.outcome]}, where {name} {WORDS[base.outcome]}"
    if cell.path != base.path:
        yield f"path {cell.path}, where {name} has {base.path}"
    elif kind in ("netcheck", "ping") and cell.got != base.got:
        yield f"got {cell.got}, where {name} got {base.got}"
    if cell.first_reply_s is None or base.first_reply_s is None:
        return
    if abs(cell.first_reply_s - base.first_reply_s) > slack_s:
        yield (
            f"first reply after {cell.first_reply_s:.2f} s, where {name} had it after "
            f"{base.first_reply_s:.2f} s"
        )


def mark_known(
    scenario: Scenario, row: Row, columns: Sequence[Column], known: Sequence[Known]
) -> set[Known]:
    """Note the reason of what is known; give what of the list was needed."""
    used: set[Known] = set()
    for cell, column in zip(row.cells, columns):
        if not cell.differs and cell.outcome != FALLS_SHORT:
            continue
        for one in known:
            if one.matches(scenario.file, row.text, row.label, row.line, column.name):
                cell.known = one.reason
                used.add(one)
                break
    return used

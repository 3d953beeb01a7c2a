# SPDX-License-Identifier: BSD-3-Clause
"""A comparison as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from natrig_orchestra import ladder
from natrig_orchestra.comparison import (
    STATEMENT,
    VERDICT,
    WORDS,
    Cell,
    Comparison,
    Row,
    Scenario,
)
from natrig_orchestra.ladder import Recording
from natrig_orchestra.needs import need
from natrig_orchestra.program import Verdict
from natrig_orchestra.report import COUNTED, STATES, seconds

FOLDER = Path(__file__).resolve().parent

# What the legend calls the colours of ladder.KINDS.
LEGEND = (
    ("ping", "disco.ping"),
    ("pong", "disco.pong"),
    ("cmm", "call-me-maybe"),
    ("stun", "stun"),
    ("wireguard", "wireguard"),
    ("portmap", "portmap"),
    ("tcp", "tcp connect"),
    ("icmp", "icmp error"),
)

# Reads the recording of a verdict: it, or else why there is none.
Reader = Callable[[Verdict], "tuple[Recording | None, str]"]


@dataclass
class Panel:
    """What is behind a cell."""

    cell: Cell
    svg: str = ""
    packets: int = 0
    note: str = ""
    left_out: str = ""


@dataclass
class Strip:
    """A scenario as the page shows it."""

    scenario: Scenario
    panels: list[list[Panel]] = field(default_factory=list)


def write_page(comparison: Comparison, read: Reader) -> str:
    """Make the page."""
    jinja2 = need_jinja2()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = seconds
    template = environment.get_template("page.html.j2")
    page: str = template.render(
        comparison=comparison,
        strips=[make_strip(one, comparison, read) for one in comparison.scenarios],
        count=comparison.count(),
        states=STATES,
        counted=COUNTED,
        words=WORDS,
        legend=LEGEND,
        css=(FOLDER / "page.css").read_text(encoding="utf-8"),
        js=(FOLDER / "page.js").read_text(encoding="utf-8"),
    )
    return page


def need_jinja2() -> Any:
    """Import Jinja2, or say how to get it."""
    return need("jinja2", "python3-jinja2", "Jinja2", "--html")


def make_strip(scenario: Scenario, comparison: Comparison, read: Reader) -> Strip:
    """Make what is behind each cell of a scenario."""
    strip = Strip(scenario, [[] for _ in scenario.rows])
    for number, (verdict, column) in enumerate(zip(scenario.verdicts, comparison.columns)):
        recording, reason = read(verdict) if verdict else (None, "")
        for panels, row in zip(strip.panels, scenario.rows):
            panel = Panel(row.cells[number], note=reason)
            panels.append(panel)
            if recording and panel.cell.ran:
                add_ladder(panel, row, scenario, number, recording, column.name)
    return strip


def add_ladder(
    panel: Panel, row: Row, scenario: Scenario, number: int, recording: Recording, client: str
) -> None:
    """Draw the packets of a cell: a step's all, a statement's that prove it."""
    cell = panel.cell
    if row.kind in (STATEMENT, VERDICT):
        journeys = recording.with_frames(cell.frames)
        panel.note = "" if journeys else "no packet of the recording bears on this"
    elif cell.started_s is None:
        journeys = []
        panel.note = "this result does not tell when the step was"
    else:
        journeys = recording.between(*window(scenario, number, cell.started_s))
        panel.note = "" if journeys else "no packet was sent in this step"
    if not journeys:
        return
    chosen = ladder.climb(journeys, cell.frames if row.kind != STATEMENT else ())
    panel.packets = len(journeys)
    panel.left_out = chosen.left_out_text
    panel.svg = ladder.draw(recording, chosen, f"{client}: {row.label}")


def window(scenario: Scenario, number: int, started_s: float) -> tuple[float, float]:
    """Give the time of a step: until the next one, and the first from the start.

    What is still under way when a step ends is let come to rest before the
    next one begins: it belongs to the step that sent it.
    """
    cells = (row.cells[number] for row in scenario.rows)
    starts = sorted(cell.started_s for cell in cells if cell.started_s is not None)
    later = [start for start in starts if start > started_s]
    return (
        started_s if started_s > starts[0] else float("-inf"),
        later[0] if later else float("inf"),
    )

# SPDX-License-Identifier: BSD-3-Clause
"""A comparison as text for a terminal, as JSON, and as JUnit."""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from natrig_orchestra.comparison import (
    COULD_NOT_RUN,
    FALLS_SHORT,
    HOLDS,
    WORDS,
    Cell,
    Comparison,
    Row,
    Scenario,
)

GREEN, RED, YELLOW, DIM, BOLD, PLAIN = (f"\033[{code}m" for code in (32, 31, 33, 2, 1, 0))

CELL_LEN = 20
MIN_STEP_LEN = 30
STATE_LEN = 14
STATES = {
    "same": ("same", GREEN),
    "known": ("known", YELLOW),
    "differs": ("differs", RED),
    FALLS_SHORT: ("falls short", RED),
    COULD_NOT_RUN: ("not compared", YELLOW),
}
# The same for any number of scenarios.
COUNTED = {
    "same": "the same",
    "known": "with a known difference",
    "differs": "with a difference",
    FALLS_SHORT: "falling short",
    COULD_NOT_RUN: "not compared",
}
MARKS = {HOLDS: "ok", FALLS_SHORT: "SHORT", COULD_NOT_RUN: "-"}


@dataclass(frozen=True)
class Style:
    """How text is shown."""

    columns: int = 80
    colour: bool = False
    verbose: bool = False

    def paint(self, text: str, colour: str) -> str:
        """Colour TEXT where there are colours."""
        return f"{colour}{text}{PLAIN}" if self.colour and text else text


def cell_text(cell: Cell) -> str:
    """Write a cell in a few letters: ok direct 3.16 s."""
    if not cell.ran:
        return "could not run"
    words = [MARKS[cell.outcome]]
    if cell.path:
        words.append("no reply" if cell.path == "none" else cell.path)
    if cell.first_reply_s is not None:
        words.append(seconds(cell.first_reply_s))
    return " ".join(words)


def seconds(value: float) -> str:
    """Write a time as a person wants to read it."""
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def wrap(text: str, style: Style, indent: int) -> Iterator[str]:
    """Break TEXT at the right edge."""
    space = " " * indent
    yield from textwrap.wrap(
        " ".join(text.split()),
        max(style.columns, indent + 20),
        initial_indent=space,
        subsequent_indent=space,
    )


def text(comparison: Comparison, style: Style) -> Iterator[str]:
    """Write a comparison for people, line by line."""
    for column in comparison.columns:
        yield from wrap(f"{column.name}: {column.origin}", style, 0)
        if column.reason:
            for line in wrap(f"could not run: {column.reason}", style, 4):
                yield style.paint(line, YELLOW)
    for scenario in comparison.scenarios:
        yield from scenario_text(scenario, comparison, style)
    for one in comparison.unused_known:
        told = f"known, but not seen: {one.scenario}: {one.step}, {one.client}"
        yield from wrap(told, style, 0)
    yield from summary_text(comparison, style)


def scenario_text(scenario: Scenario, comparison: Comparison, style: Style) -> Iterator[str]:
    """Write a scenario: a line, and its rows where there is more to say.

    A client that ran nothing at all was told of above, and has no column.
    """
    word, colour = STATES[scenario.state]
    yield style.paint(f"{word:<{STATE_LEN}}", colour) + style.paint(scenario.file, BOLD)
    yield from wrap(scenario.title, style, STATE_LEN)
    if scenario.state == "same" and not style.verbose:
        return
    numbers = [number for number, ran in enumerate(comparison.ran) if ran]
    names = [comparison.columns[number].name for number in numbers]
    rows = [replace(row, cells=[row.cells[number] for number in numbers]) for row in scenario.rows]
    shown = [row for row in rows if style.verbose or any(map(is_told, row.cells))]
    fits = len(names) * (CELL_LEN + 1) + MIN_STEP_LEN + 4 <= style.columns
    if fits and shown and max(map(len, names)) <= CELL_LEN:
        step_len = style.columns - 4 - len(names) * (CELL_LEN + 1)
        heads = " ".join(f"{name:<{CELL_LEN}}" for name in names)
        yield style.paint(f"    {'':<{step_len}} {heads}".rstrip(), DIM)
        for row in shown:
            yield from row_table(row, names, step_len, style)
    else:
        for row in shown:
            yield from row_list(row, names, style)


def is_told(cell: Cell) -> bool:
    """Whether there is something to say of the cell."""
    return bool(cell.differs) or cell.outcome != HOLDS


def row_mark(row: Row) -> str:
    """Mark a row that should be looked at."""
    if any(cell.fails for cell in row.cells):
        return "! "
    return "~ " if any(cell.known for cell in row.cells) else "  "


def cell_colour(cell: Cell) -> str:
    """Choose a cell's colour."""
    if cell.fails:
        return RED
    return YELLOW if cell.known or not cell.ran else GREEN


def row_table(row: Row, names: list[str], step_len: int, style: Style) -> Iterator[str]:
    """Write a row of the table, and below it what differs and why."""
    labels = textwrap.wrap(row.label, step_len) or [""]
    cells = [
        style.paint(f"{cell_text(cell)[:CELL_LEN]:<{CELL_LEN}}", cell_colour(cell))
        for cell in row.cells
    ]
    yield f"  {row_mark(row)}{labels[0]:<{step_len}} {' '.join(cells)}".rstrip()
    for label in labels[1:]:
        yield f"    {label}"
    for cell, name in zip(row.cells, names):
        yield from cell_details(cell, name, style)


def row_list(row: Row, names: list[str], style: Style) -> Iterator[str]:
    """Write a row where the columns do not fit: a line a client."""
    lines = textwrap.wrap(row.label, style.columns - 4) or [""]
    yield f"  {row_mark(row)}{lines[0]}"
    for line in lines[1:]:
        yield f"    {line}"
    for cell, name in zip(row.cells, names):
        for number, line in enumerate(wrap(f"{name}: {cell_text(cell)}", style, 6)):
            yield line if number else style.paint(line, cell_colour(cell))
        yield from cell_details(cell, name, style)


def cell_details(cell: Cell, name: str, style: Style) -> Iterator[str]:
    """Tell of what differs, what is known of it, and the evidence."""
    for line in cell.differs:
        yield from wrap(f"{name}: {line}", style, 8)
    if cell.known:
        yield from wrap(f"known: {cell.known}", style, 8)
    if cell.outcome == FALLS_SHORT and not cell.differs:
        yield from wrap(f"{name}: {shortfall(cell)}", style, 8)
    if cell.why and (is_told(cell) or style.verbose):
        for line in wrap(f"{name}: {cell.why}", style, 8):
            yield style.paint(line, DIM)


def shortfall(cell: Cell) -> str:
    """Tell what came in place of what was expected."""
    return f"falls short, got {cell.got}" if cell.got else "falls short"


def summary_text(comparison: Comparison, style: Style) -> Iterator[str]:
    """Count."""
    count = comparison.count()
    total = len(comparison.scenarios)
    clients = len(comparison.columns)
    words = [f"{count[state]} {word}" for state, word in COUNTED.items() if count[state]]
    told = f"{total} scenario{'s' * (total != 1)}, {clients} client{'s' * (clients != 1)}"
    yield from wrap(f"{told}: {', '.join(words) or 'nothing'}", style, 0)
    ran = [column.name for column, ran in zip(comparison.columns, comparison.ran) if ran]
    if clients > 1 and len(ran) == 1:
        yield from wrap(f"nothing was compared: only {ran[0]} could run", style, 0)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Give a comparison as one JSON object."""
    return {
        "clients": [
            {
                "name": column.name,
                "origin": column.origin,
                "ran": ran,
                "could_not_run": column.reason or None,
            }
            for column, ran in zip(comparison.columns, comparison.ran)
        ],
        "slack_s": comparison.slack_s,
        "fails": comparison.fails,
        "summary": dict(comparison.count()),
        "unused_known": [vars(one) for one in comparison.unused_known],
        "scenarios": [scenario_json(one, comparison) for one in comparison.scenarios],
    }


def scenario_json(scenario: Scenario, comparison: Comparison) -> dict[str, Any]:
    """Give a scenario as JSON."""
    return {
        "file": scenario.file,
        "title": scenario.title,
        "state": scenario.state,
        "verdicts": [verdict.verdict if verdict else None for verdict in scenario.verdicts],
        "rows": [
            {
                "kind": row.kind,
                "text": row.text,
                "line": row.line,
                "expect": row.expect or None,
                "cells": [
                    {
                        "client": column.name,
                        "outcome": cell.outcome,
                        "path": cell.path or None,
                        "first_reply_s": cell.first_reply_s,
                        "got": cell.got or None,
                        "why": cell.why or None,
                        "frames": list(cell.frames),
                        "differs": list(cell.differs),
                        "known": cell.known or None,
                    }
                    for cell, column in zip(row.cells, comparison.columns)
                ],
            }
            for row in scenario.rows
        ],
    }


def junit(comparison: Comparison) -> bytes:
    """Write JUnit: a suite a client, a test case a cell."""
    root = ET.Element("testsuites", name="natrig compare")
    for number, column in enumerate(comparison.columns):
        suite = ET.SubElement(root, "testsuite", name=xml_text(column.name))
        for scenario in comparison.scenarios:
            for row in scenario.rows:
                add_case(suite, scenario, row, row.cells[number])
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
            suite.set(name, str(sum(1 for _ in suite.iter(tag))))
        suite.set("errors", "0")
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def add_case(suite: ET.Element, scenario: Scenario, row: Row, cell: Cell) -> None:
    """Add a cell to a client's suite."""
    case = ET.SubElement(
        suite,
        "testcase",
        classname=xml_text(scenario.file),
        name=xml_text(f"{row.label} (line {row.line})" if row.line else row.label),
    )
    if cell.first_reply_s is not None:
        case.set("time", f"{cell.first_reply_s:.3f}")
    if not cell.ran:
        ET.SubElement(case, "skipped", message=xml_text(cell.why or WORDS[cell.outcome]))
    elif cell.fails:
        told = "; ".join(cell.differs) or shortfall(cell)
        kind = "difference" if cell.differs else FALLS_SHORT
        failure = ET.SubElement(case, "failure", type=kind, message=xml_text(told))
        failure.text = xml_text(cell.why)
    elif cell.known:
        out = ET.SubElement(case, "system-out")
        told = "; ".join(cell.differs) or "falls short"
        out.text = xml_text(f"{told}\nknown: {cell.known}")


def xml_text(text: str) -> str:
    """Leave out what XML cannot carry."""
    return "".join(
        c if c in "\t\n" or (c >= "\x20" and c not in "\ufffe\uffff") else "?" for c in text
    )

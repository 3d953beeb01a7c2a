# SPDX-License-Identifier: BSD-3-Clause
"""The natrig program: where it is, running it, and what its JSON says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any


class Status(IntEnum):
    """natrig's exit status."""

    HOLDS = 0
    FALLS_SHORT = 1
    REFUSED = 2
    CANNOT_RUN = 3
    INTERRUPTED = 130


class NatrigError(Exception):
    """natrig was not found, did not end, or said what nobody can read."""


@dataclass(frozen=True)
class Claim:
    """A step or an order statement of a scenario, and what came of it."""

    text: str
    line: int
    holds: bool
    expect: str = ""
    got: str = ""
    why: str = ""
    path: str = ""
    frames: tuple[int, ...] = ()
    verb: str = ""
    done: bool = True
    first_reply_s: float | None = None
    started_s: float | None = None
    ended_s: float | None = None

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Claim:
        """Read a member of "steps" or of "order"."""
        why = [entry.get("why"), entry.get("journey")]
        return cls(
            text=str(entry.get("text") or entry.get("statement") or entry.get("verb")),
            line=int(entry.get("line") or 0),
            holds=entry.get("holds") is not False,
            expect=as_text(entry.get("expect")),
            got=as_text(entry.get("got")),
            why="\n".join(dict.fromkeys(as_text(part) for part in why if part)),
            path=as_text(entry.get("path")),
            frames=tuple(entry.get("frames") or ()),
            verb=as_text(entry.get("verb")),
            done=entry.get("done") is not False,
            first_reply_s=as_seconds(entry.get("first_reply_ms"), 1000),
            started_s=as_seconds(entry.get("started_s")),
            ended_s=as_seconds(entry.get("ended_s")),
        )


@dataclass(frozen=True)
class Verdict:
    """What natrig says of one scenario."""

    file: str
    title: str
    verdict: str
    steps: tuple[Claim, ...] = ()
    order: tuple[Claim, ...] = ()
    lab: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    client: str = ""
    recording: str = ""
    interrupted: bool = False

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Verdict:
        """Read a member of "scenarios"."""
        return cls(
            file=as_text(entry.get("file")),
            title=as_text(entry.get("title")),
            verdict=as_text(entry.get("verdict")),
            steps=tuple(Claim.from_json(step) for step in entry.get("steps") or ()),
            order=tuple(Claim.from_json(line) for line in entry.get("order") or ()),
            lab=entry.get("lab") or {},
            error=as_text(entry.get("error")),
            client=as_text(entry.get("client")),
            recording=as_text(entry.get("recording")),
            interrupted=entry.get("interrupted") is True,
        )


@dataclass(frozen=True)
class Run:
    """One run of natrig that has ended."""

    command: tuple[str, ...]
    status: int
    output: str
    errors: str

    def verdicts(self) -> list[Verdict]:
        """Read the output of `natrig run --json`."""
        try:
            return verdicts_of(self.output)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NatrigError(
                f"{' '.join(self.command)}: exit {self.status}, and no verdict "
                f"in its JSON ({error}):\n{self.output[:2000]}\n{self.errors}"
            ) from error


def verdicts_of(text: str) -> list[Verdict]:
    """Read the JSON of `natrig run --json`; what it raises says why not."""
    return [Verdict.from_json(one) for one in json.loads(text)["scenarios"]]


def as_seconds(value: Any, parts: int = 1) -> float | None:
    """Read a time in PARTS of a second; None where there is none."""
    return value / parts if isinstance(value, (int, float)) else None


def as_text(value: Any) -> str:
    """Write a JSON value the way a scenario file writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {as_text(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(as_text(one) for one in value)
    return str(value)


def find(named: str | None = None, root: Path | None = None) -> Path:
    """Find natrig: NAMED, $NATRIG, build/natrig under ROOT, then $PATH."""
    for source, place in (("--natrig", named), ("NATRIG", os.environ.get("NATRIG"))):
        if not place:
            continue
        found = shutil.which(place)
        if not found:
            raise NatrigError(f"{source} names {place}, which is no program")
        return Path(found).resolve()
    places = [str(root / "build")] if root else []
    found = shutil.which("natrig", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if not found:
        raise NatrigError(
            "natrig is neither in build/ nor in PATH: build it with ./quickstart, "
            "or name it with --natrig or in NATRIG"
        )
    return Path(found).resolve()


def run(program: Path, *arguments: str, timeout_s: float = 300) -> Run:
    """Run natrig to its end. Raise NatrigError when that does not come."""
    command = (str(program), *arguments)
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except OSError as error:
        raise NatrigError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace") if error.stderr else ""
        raise NatrigError(f"{' '.join(command)} did not end in {timeout_s} s\n{said}") from error
    return Run(command, ended.returncode, ended.stdout, ended.stderr)

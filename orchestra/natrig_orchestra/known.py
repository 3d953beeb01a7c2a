# SPDX-License-Identifier: BSD-3-Clause
"""The list of differences that are known: shown with a reason, failing nobody.

A YAML or JSON file with a list of entries:

    - scenario: seed/02-hard-c-no-mapping.yaml
      step: ping c -> a
      client: tailscale@1.98*
      reason: it pings by DISCO first, which the model does not

`scenario` is the end of the file's path, with or without its suffix; `step` is
a step's or an order statement's text, with or without its expectation. In
`step` and `client` an asterisk stands for anything. Where a step's words come
more than once in a scenario, `line` names one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from natrig_orchestra.needs import need

KEYS = ("scenario", "step", "client", "reason")


class KnownError(Exception):
    """A list of known differences that cannot be read."""


@dataclass(frozen=True)
class Known:
    """A difference that is known."""

    scenario: str
    step: str
    client: str
    reason: str
    line: int | None = None

    def matches(self, file: str, text: str, label: str, line: int, client: str) -> bool:
        """Whether this entry is about that cell."""
        names = (PurePath(file).parts, PurePath(file).with_suffix("").parts)
        wanted = PurePath(self.scenario).parts
        return (
            any(parts[-len(wanted) :] == wanted for parts in names)
            and (like(self.step, text) or like(self.step, label))
            and like(self.client, client)
            and self.line in (None, line)
        )


def like(pattern: str, text: str) -> bool:
    """Whether TEXT is PATTERN, in which an asterisk stands for anything."""
    parts = (re.escape(part) for part in " ".join(pattern.split()).split("*"))
    return re.fullmatch(".*".join(parts), " ".join(text.split())) is not None


def read_known(path: Path) -> list[Known]:
    """Read a list of known differences; KnownError says what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    entries = parse(text, path)
    if not isinstance(entries, list):
        raise KnownError(f"{path}: this must be a list, each entry with {', '.join(KEYS)}")
    return [make_entry(entry, f"{path}: entry {number}") for number, entry in enumerate(entries, 1)]


def parse(text: str, path: Path) -> Any:
    """Read YAML, or JSON, for which nothing need be installed."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    yaml = need("yaml", "python3-yaml", "PyYAML", f"--known {path} (as it is no JSON)")
    try:
        return yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        raise KnownError(f"{path}: {' '.join(str(error).split())}") from error


def make_entry(entry: Any, where: str) -> Known:
    """Make one entry of the list."""
    if not isinstance(entry, Mapping):
        raise KnownError(f"{where}: it must have the keys {', '.join(KEYS)}")
    odd = [str(key) for key in entry if key not in (*KEYS, "line")]
    if odd:
        raise KnownError(f"{where}: unknown key {odd[0]}; there are {', '.join(KEYS)} and line")
    for key in KEYS:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise KnownError(f"{where}: {key} is missing, or is no text")
    line = entry.get("line")
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise KnownError(f"{where}: line must be a number, not {line!r}")
    return Known(line=line, **{key: entry[key].strip() for key in KEYS})

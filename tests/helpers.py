# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the whole program share, besides the fixtures."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parent.parent
IS_ROOT = os.geteuid() == 0
USERS = ("root", "nobody") if IS_ROOT else (pwd.getpwuid(os.geteuid()).pw_name,)

# Of scenarios that ought to hold for the model, each of its own kind; `cells` is one table.
FOLDERS = ("seed", "time", "rfc4787", "field")

# The plainest lab: two homes, a direct path, a fraction of a second.
DIRECT = """\
natrig: 1
title: a and b reach each other directly through easy NATs
routers:
  home-a: {nat: easy}
  home-b: {nat: easy}
hosts:
  a: {router: home-a}
  b: {router: home-b}
steps:
  - {start: all}
  - {ping: a -> b, expect: direct}
order:
  - some a -> b reaches b
  - some b -> a reaches a
"""

# A router with a daemon, a dead ping, and more than 10 s of lab time.
DEAD = """\
natrig: 1
title: nothing gets through where the relay is blocked and UDP is too
routers:
  home-a: {nat: easy, portmap: [upnp, nat-pmp]}
  edge-c: {nat: udp-blocked}
hosts:
  a: {router: home-a}
  c: {router: edge-c}
steps:
  - {block: c -> relay}
  - {start: all}
  - {ping: a -> c, for: 12s, expect: unreachable}
order:
  - never a -> c reaches c
"""


# What the contract's example client makes of two easy NATs.
ECHO = """\
natrig: 1
title: a is dead to c until c sends
routers:
  home-a: {nat: easy}
  edge-c: {nat: easy}
hosts:
  a: {router: home-a, client: udp-echo}
  c: {router: edge-c, client: udp-echo}
steps:
  - {start: all}
  - {ping: a -> c, for: 3s, expect: unreachable}
  - {ping: c -> a, expect: direct}
  - {ping: a -> c, expect: direct}
order:
  - some a -> c dies at edge-c
  - no a -> c reaches c before c -> a leaves c
"""


@dataclass
class Natrig:
    """The natrig program as one user runs it."""

    user: str
    program: Path
    scenarios: Path
    work: Path
    prefix: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def command(self, *arguments: object) -> list[str]:
        """Write the command that runs natrig with ARGUMENTS as this user."""
        return [*self.prefix, str(self.program), *map(str, arguments)]

    def run(
        self, *arguments: object, timeout_s: float = 120, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run natrig to its end."""
        return self.run_command(self.command(*arguments), timeout_s=timeout_s, **options)

    def run_command(
        self, command: Sequence[str], timeout_s: float = 120, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run any command where natrig runs."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            command,
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            **options,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start natrig in a session of its own; the caller ends it."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def write(self, text: str, name: str = "scenario.yaml") -> Path:
        """Put a scenario into the work folder, for this user to read."""
        path = self.work / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def files(self) -> set[str]:
        """Name all files in the work folder."""
        return {str(one.relative_to(self.work)) for one in self.work.rglob("*")}


def example_client() -> str:
    """Give the whole client that the contract shows, in Python."""
    text = (SOURCE / "clients" / "README.md").read_text()
    return text.split("```python\n")[1].split("```")[0]


def make_client(folder: Path, script: str = "", manifest: Mapping[str, Any] | None = None) -> None:
    """Make FOLDER a client: the contract's example, SCRIPT (of sh) before it.

    SCRIPT sees the verb in $1; where it does not exit, the example goes on.
    """
    folder.mkdir(parents=True)
    program = folder / "client"
    program.write_text(f'#!/bin/sh\n{script}\nexec python3 "${{0%/*}}/example" "$@"\n')
    program.chmod(0o755)
    (folder / "example").write_text(example_client())
    words = {"natrig-client": 1, "serves": ["control"], **(manifest or {})}
    (folder / "client.json").write_text(json.dumps(words))
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)


def poll(deadline_s: float) -> Iterator[None]:
    """Take turns until the deadline; the caller breaks off when content."""
    until = time.monotonic() + deadline_s
    yield
    while time.monotonic() < until:
        time.sleep(0.005)
        yield


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = 10) -> Any:
    """Poll CONDITION until it says something true, and return that."""
    for _ in poll(deadline_s):
        if found := condition():
            return found
    pytest.fail(f"in {deadline_s} s this did not come: {what}")


def need(*programs: str) -> None:
    """Skip the test where one of PROGRAMS is missing, and say which."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")

# SPDX-License-Identifier: BSD-3-Clause
"""Runs scenarios very often in one go, and says whether anything piles up.

    python3 tests/soak.py NATRIG COUNT SCENARIO...

The scenarios are run in turn, COUNT runs in all. While they run, the memory and
descriptors of natrig's processes and the machine's network namespaces and processes
are looked at; the figures of the start, the middle and the end are printed. Exit
status 1 where the end is above the middle by more than a little: what leaks grows on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median_low


@dataclass
class Sample:
    """What was in use at one moment."""

    memory_kib: int
    descriptors: int
    namespaces: int
    processes: int

    def __str__(self) -> str:
        return (
            f"{self.memory_kib:>9} KiB {self.descriptors:>6} descriptors "
            f"{self.namespaces:>5} namespaces {self.processes:>5} processes"
        )


def family(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def slab_count(name: str) -> int:
    """Objects in use of a kernel cache; 0 where that may not be read."""
    try:
        for line in Path("/proc/slabinfo").read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def look(root: int) -> Sample:
    """One sample of natrig and the machine."""
    memory = descriptors = 0
    pids = family(root)
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                memory += int(line.split()[1])
    return Sample(memory, descriptors, slab_count("net_namespace"), len(pids))


def median(samples: list[Sample]) -> Sample:
    """What was usual: how much is in use just now depends on the moment."""
    names = Sample.__dataclass_fields__
    return Sample(*(median_low([getattr(s, name) for s in samples]) for name in names))


def soak(command: list[str], count: int, scenarios: list[str]) -> list[Sample]:
    """Run COMMAND with as many scenarios; ValueError where not all of them hold."""
    paths = islice(cycle(scenarios), count)
    samples: list[Sample] = []
    with subprocess.Popen([*command, *paths], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        held = 0
        for line in run.stdout:
            if line.startswith("holds "):
                held += 1
                if held % max(1, count // 100) == 0:
                    samples.append(look(run.pid))
    if run.returncode or held != count:
        raise ValueError(f"{held} of {count} hold, exit status {run.returncode}")
    fifth = max(1, len(samples) // 5)
    parts = samples[:fifth], samples[2 * fifth : 3 * fifth], samples[-fifth:]
    return [median(part) for part in parts]


def grows(middle: Sample, end: Sample) -> bool:
    """Say whether the end is above the middle by more than chance."""
    return (
        end.memory_kib > middle.memory_kib + 2048
        or end.descriptors > middle.descriptors + 32
        or end.namespaces > middle.namespaces * 2 + 64
        or end.processes > middle.processes + 8
    )


def main() -> int:
    """Run the soak and print its figures."""
    natrig, count, scenarios = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    try:
        figures = soak([natrig, "run", "--quiet"], count, scenarios)
    except ValueError as error:
        print(error)
        return 1
    for name, sample in zip(("start", "middle", "end"), figures):
        print(f"{name:<8}{sample}")
    grew = grows(*figures[1:])
    print(f"{count} runs: " + ("something grows" if grew else "nothing grows"))
    return grew


if __name__ == "__main__":
    sys.exit(main())

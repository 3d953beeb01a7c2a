# SPDX-License-Identifier: BSD-3-Clause
"""Tailscale itself, under headscale, in natrig's labs: where it is installed.

`natrig client install tailscale@1.102.5 headscale@0.29.0` puts it where these
tests look. They run in real time; NATRIG_SLOW=1 runs every cell and the seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import IS_ROOT, SOURCE, USERS, Natrig, wait_until

# The machine's two processors are for three clients and their servers.
pytestmark = [pytest.mark.real, pytest.mark.alone]

SLOW = os.environ.get("NATRIG_SLOW") == "1"
AT_ONCE = 4
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "natrig"
PROGRAMS = {"tailscaled", "headscale", "derper", "tailscale"}
# Each row of the field report's own table is here: who gets through, and when.
QUICK = (
    "seed/07-relay-carries",
    "seed/12-oracle-2-data",
    "seed/14-oracle-4-disco",
    "seed/15-oracle-5-data",
    "seed/16-oracle-6-data",
    "cells/easy-symmetric-unmapped-relay-works-a-first",
    "cells/easy-easy-upnp-relay-blocked-c-first",
)

# All that can happen to it in a lab's life; each time it finds back by itself.
LIFE = """
natrig: 1
title: restarted, rebooted, renumbered, without a link, stopped and started
servers: {relays: [fra, hw-sh]}
routers:
  home-a: {nat: easy}
  edge-c: {nat: symmetric, portmap: [upnp]}
hosts:
  a: {router: home-a}
  c: {router: edge-c}
steps:
  - {start: all}
  - {ping: a -> c, for: 12s, expect: direct}
  - {restart: a}
  - {ping: a -> c, for: 12s, expect: direct}
  - {reboot: edge-c}
  - {ping: c -> a, for: 20s, expect: reachable}
  - {renumber: home-a}
  - {ping: a -> c, for: 30s, expect: reachable}
  - {link: a, state: down}
  - {ping: c -> a, for: 5s, expect: unreachable}
  - {link: a, state: up}
  - {ping: c -> a, for: 40s, expect: reachable}
  - {stop: a}
  - {ping: c -> a, for: 4s, expect: unreachable}
  - {start: a}
  - {ping: c -> a, for: 20s, expect: reachable}
"""


@pytest.fixture(scope="session")
def cache(stage: Path) -> Path:
    """Give the installed programs a place where every user may read them."""
    if not (CACHE / "tailscale").is_dir() or not (CACHE / "headscale").is_dir():
        pytest.skip(
            "Tailscale is not installed: natrig client install tailscale@1.102.5, "
            "and headscale@0.29.0"
        )
    folder = stage / "cache"
    if not folder.exists():
        shutil.copytree(CACHE, folder / "natrig", copy_function=link_or_copy)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return folder


def link_or_copy(source: str, target: str) -> str:
    """Copy a file of many megabytes only where it cannot be linked."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


@pytest.fixture
def tailscale(natrig: Natrig, cache: Path) -> Natrig:
    """Give a natrig that finds Tailscale; skip with its reason if it does not."""
    natrig.environment["XDG_CACHE_HOME"] = str(cache)  # type: ignore[index]
    natrig.environment["NATRIG_CLIENTS"] = str(SOURCE / "clients")  # type: ignore[index]
    doctor = natrig.run("client", "doctor", "tailscale")
    if doctor.returncode:
        pytest.skip(f"Tailscale cannot run as {natrig.user}: {doctor.stdout}{doctor.stderr}")
    return natrig


as_one_user = pytest.mark.parametrize("natrig", USERS[:1], indirect=True)
as_nobody = pytest.mark.parametrize("natrig", USERS[-1:], indirect=True)


def verdicts(ran: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Give what natrig's JSON says of each scenario, by folder and name."""
    assert ran.stdout, ran.stderr
    return {
        f"{Path(one['file']).parent.name}/{Path(one['file']).stem}": one
        for one in json.loads(ran.stdout)["scenarios"]
    }


def shortfalls(one: dict[str, Any]) -> list[str]:
    """Tell what of a scenario does not hold."""
    items = [*one["steps"], *one["order"]]
    wrong = [item for item in items if not item["holds"]]
    return [one.get("error") or ""] * bool(one.get("error")) + [
        f"{item.get('text', item.get('statement'))}: {item.get('got')}: {item['why']}"
        for item in wrong
    ]


def run(natrig: Natrig, names: list[str], *more: str | Path) -> dict[str, dict[str, Any]]:
    """Run scenarios with Tailscale on their hosts; MORE are options or files."""
    files = [*more, *(natrig.scenarios / f"{name}.yaml" for name in names)]
    return verdicts(
        natrig.run(
            "run", "-q", "--json", "--client", "tailscale", "-j", AT_ONCE, *files,
            timeout_s=3600,
        )
    )  # fmt: skip


def every_name() -> Iterator[str]:
    """Name the scenarios that a real client can be put into."""
    for folder in ("seed", "cells"):
        for path in sorted((SOURCE / "scenarios" / folder).glob("*.yaml")):
            yield f"{folder}/{path.stem}"


@as_one_user
def test_scenarios_hold_for_tailscale_as_for_the_model(tailscale: Natrig) -> None:
    """What the model does, Tailscale does, step by step, proved from its packets."""
    names = list(every_name()) if SLOW else list(QUICK)
    life = tailscale.write(LIFE)
    assert tailscale.run("run", life).returncode == 0
    found = run(tailscale, names, life)
    model_only = {
        name for name, one in found.items() if "only the model" in (one.get("error") or "")
    }
    wrong = {
        name: shortfalls(one)
        for name, one in found.items()
        if one["verdict"] != "holds" and name not in model_only
    }
    assert not wrong
    assert {one["client"] for one in found.values()} == {"tailscale"}
    assert all(not one["lab"].get("skipped") for one in found.values())


@as_nobody
@pytest.mark.skipif(not IS_ROOT, reason="the other tests have done it as this user")
def test_an_ordinary_user_needs_no_tun_device(tailscale: Natrig) -> None:
    """Without root Tailscale runs in userspace networking, if need be."""
    name = "seed/15-oracle-5-data"
    (one,) = run(tailscale, [name]).values()
    assert one["verdict"] == "holds", shortfalls(one)


@as_one_user
def test_its_files_are_kept_and_its_version_is_told(tailscale: Natrig) -> None:
    """--keep keeps logs, state and the recording, which proves the same again."""
    name = "cells/easy-easy-unmapped-relay-works-a-first"
    (one,) = run(tailscale, [name], "--keep", "kept").values()
    assert one["verdict"] == "holds", shortfalls(one)
    stem = name.partition("/")[2]
    folder = tailscale.work / "kept" / f"{stem}.files"
    for file in ("a.log", "c.log", "control.log", "relay.log", "headscale.yaml"):
        assert (folder / file).stat().st_size, file
    status = json.loads((folder / "a.status.json").read_text())
    assert status["BackendState"] == "Running"
    again = tailscale.run(
        "verify", tailscale.scenarios / f"{name}.yaml", tailscale.work / "kept" / f"{stem}.pcapng"
    )
    assert again.returncode == 0, again.stdout


@as_one_user
def test_nothing_is_left_of_it_after_a_kill(tailscale: Natrig) -> None:
    """SIGKILL in the middle of a run: no process, no TUN device, no file."""
    before = set(os.listdir("/sys/class/net"))
    files = tailscale.files()
    process = tailscale.start(
        "run", "-q", "--client", "tailscale",
        tailscale.scenarios / "cells/easy-symmetric-unmapped-relay-blocked-a-first.yaml",
    )  # fmt: skip
    wait_until(lambda: PROGRAMS - {"tailscale"} <= running(), "Tailscale's programs", 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not running(), "the end of all that natrig started", 20)
    assert set(os.listdir("/sys/class/net")) == before
    assert tailscale.files() == files


def running() -> set[str]:
    """Name the programs of Tailscale's that run on this machine."""
    names = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            names.add((folder / "comm").read_text().strip())
        except OSError:
            continue
    return names & PROGRAMS


@as_one_user
def test_what_is_missing_is_told(natrig: Natrig, tmp_path: Path) -> None:
    """Without the client nothing is built: exit 3, and how to get it."""
    natrig.environment["XDG_CACHE_HOME"] = str(tmp_path)  # type: ignore[index]
    natrig.environment["NATRIG_CLIENTS"] = str(SOURCE / "clients")  # type: ignore[index]
    ran = natrig.run(
        "run", "--client", "tailscale@0.0.1", natrig.scenarios / "seed/01-easy-both.yaml"
    )
    assert ran.returncode == 3
    assert "natrig client install tailscale@0.0.1" in ran.stdout.replace("\n", " ")


@as_one_user
def test_its_time_is_real(tailscale: Natrig) -> None:
    """Asking to skip time with a real client says why that cannot be."""
    ran = tailscale.run(
        "run", "--client", "tailscale", "--skip-time",
        tailscale.scenarios / "seed/01-easy-both.yaml",
    )  # fmt: skip
    assert ran.returncode == 3
    assert "its time is real and cannot be skipped" in ran.stdout.replace("\n", " ")

# SPDX-License-Identifier: BSD-3-Clause
"""natrig leaves this machine as it was, however it ends.

Where the tests run as root, natrig runs with a group that nobody else is in,
so whatever it leaves, a process or a file, is known by that group. Elsewhere
it is known by its name and owner.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import soak
from helpers import (
    DEAD,
    DIRECT,
    ECHO,
    IS_ROOT,
    Natrig,
    make_client,
    need,
    poll,
    wait_until,
)

pytestmark = pytest.mark.alone

KILLS = 20
CLIENT_KILLS = 4
MANY_RUNS = 160
GONE_S = 10
FOLDERS = ("/tmp", "/run", "/var", "/dev/shm")
MOUNTS = Path("/proc/self/mountinfo")
PROGRAMS = {"natrig", "miniupnpd"}
# These count or change by themselves.
RESTLESS = re.compile(r"conntrack_count|/route/flush|/nf_conntrack_expect|random|/netfilter/nf_log")
LONG = DIRECT.replace("order:", "  - {wait: 10m}\norder:")


# --- this machine's own network --------------------------------------------


def host_network() -> dict[str, Any]:
    """Tell all of this machine's network that a lab might touch."""
    state: dict[str, Any] = {
        " ".join(words): json.loads(tell("ip", "-j", *words) or "[]")
        for words in (
            ("link",), ("addr",), ("neigh", "show", "nud", "permanent"), ("netns",),
            ("rule",), ("-6", "rule"),
            ("route", "show", "table", "all"), ("-6", "route", "show", "table", "all"),
        )
    }  # fmt: skip
    if IS_ROOT:
        state["nft"] = tell("nft", "--stateless", "list", "ruleset")
    state["sysctl"] = dict(sysctls())
    state["namespace"] = str(Path("/proc/self/ns/net").readlink())
    return without_lifetimes(state)


def tell(*command: str) -> str:
    """Give what a command of the system says."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def without_lifetimes(value: Any) -> Any:
    """Leave out what counts down by itself."""
    if isinstance(value, dict):
        return {
            key: without_lifetimes(one)
            for key, one in value.items()
            if key not in ("valid_life_time", "preferred_life_time", "expires")
        }
    if isinstance(value, list):
        return [without_lifetimes(one) for one in value]
    return value


def sysctls() -> Iterator[tuple[str, str]]:
    """Give every network setting that can be read."""
    for folder, _, names in os.walk("/proc/sys/net"):
        for name in names:
            path = f"{folder}/{name}"
            if RESTLESS.search(path):
                continue
            try:
                yield path, Path(path).read_text(errors="replace")
            except OSError:
                continue


def assert_host_unchanged(before: dict[str, Any]) -> None:
    """Compare with BEFORE; settings of a module loaded meanwhile are new."""
    after = host_network()
    for path in set(after["sysctl"]) - set(before["sysctl"]):
        assert "/netfilter/" in path or "/bridge/" in path or "nf_conntrack" in path, path
        del after["sysctl"][path]
    for what, was in before.items():
        assert after[what] == was, f"{what} of this machine changed"


# --- what natrig may leave ----------------------------------------------------


class Traces:
    """What of natrig is on this machine."""

    def __init__(self, natrig: Natrig, gid: int) -> None:
        self.gid = gid if IS_ROOT else None
        self.work = natrig.work
        self.stage = natrig.program.parent
        self.files_before = self.files()
        self.mounts_before = self.mounts()
        self.processes_before = self.processes()
        self.everybody_before = set(all_processes())
        self.seen: set[str] = set()  # namespaces of natrig's processes

    def files(self) -> set[str]:
        """Name the files of natrig's outside of the tests' own folder."""
        mark = ["-user", str(os.geteuid())] if self.gid is None else ["-group", str(self.gid)]
        found = subprocess.run(
            ["find", *FOLDERS, "-path", str(self.stage), "-prune", "-o", *mark, "-print"],
            capture_output=True,
            text=True,
            check=False,  # files come and go while it looks
        )
        return set(found.stdout.splitlines())

    def mounts(self) -> set[str]:
        """Name the mounts that this process sees."""
        lines = MOUNTS.read_text().splitlines()
        return {" ".join(line.split()[2:6]) for line in lines}

    def processes(self) -> set[int]:
        """Name natrig's processes, zombies too."""
        return {pid for pid in all_processes() if self.is_natrigs(pid)}

    def is_natrigs(self, pid: int) -> bool:
        """Tell whether PID is of natrig's making: by group, else by name and owner."""
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if self.gid is not None:
            return str(self.gid) in fields["Gid"].split()
        return fields["Name"] in PROGRAMS and str(os.geteuid()) in fields["Uid"].split()

    def look(self) -> set[int]:
        """Note the namespaces of natrig's processes; give the processes."""
        found = self.processes() - self.processes_before
        for pid in found:
            self.seen |= namespaces_of(pid)
        self.seen -= namespaces_of(os.getpid())
        return found

    def namespaces_left(self) -> set[str]:
        """Name namespaces of natrig's that somebody still holds.

        Others that came later do not count, and neither do other labs: the kernel gives
        a number anew as soon as it is free.
        """
        here = os.readlink("/proc/self/ns/pid")
        held = set(re.findall(r"(?:net|user|mnt|pid):\[\d+\]", MOUNTS.read_text()))
        for pid in all_processes():
            found = namespaces_of(pid)
            if self.is_natrigs(pid) or (pid in self.everybody_before and here in found):
                held |= found
        return held & self.seen

    def left(self) -> list[str]:
        """Tell everything that is more than there was; files when all else is gone."""
        found = [f"process {pid}" for pid in sorted(self.processes() - self.processes_before)]
        found += [f"mount {one}" for one in sorted(self.mounts() - self.mounts_before)]
        found += [f"namespace {one}" for one in sorted(self.namespaces_left())]
        return found or [f"file {one}" for one in sorted(self.files() - self.files_before)]

    def assert_none(self, when: str) -> None:
        """Wait until nothing is left; tell what is, if it stays."""
        for _ in poll(GONE_S):
            if not (left := self.left()):
                return
        pytest.fail(f"{when}, this is left after {GONE_S} s: {left}")


def all_processes() -> list[int]:
    """Name the processes that there are."""
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def namespaces_of(pid: int) -> set[str]:
    """Name the namespaces that PID is in or holds open."""
    found = set()
    for folder in ("ns", "fd"):
        try:
            links = [Path(one.path).readlink() for one in os.scandir(f"/proc/{pid}/{folder}")]
        except OSError:
            continue
        found |= {str(link) for link in links if re.fullmatch(r"[a-z]+:\[\d+\]", str(link))}
    return {one for one in found if one.startswith(("net:", "user:", "mnt:", "pid:"))}


@pytest.fixture
def traces(lab: Natrig, gid: int) -> Traces:
    """Remember what there is before the test."""
    return Traces(lab, gid)


# --- the tests ------------------------------------------------------------------


def test_the_hosts_network_is_untouched(lab: Natrig, traces: Traces) -> None:
    """Links, addresses, routes, rules and settings are as they were."""
    need("ip", "nft")
    before = host_network()
    process = lab.start("run", "-v", lab.write(DIRECT, "1.yaml"), lab.write(DEAD, "2.yaml"))
    while process.poll() is None:
        traces.look()
        assert tell("ip", "-j", "link")
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert traces.seen, "no lab was seen: this test saw nothing"
    assert_host_unchanged(before)
    traces.assert_none("after a run")


def test_many_runs_in_one_go_leave_nothing(lab: Natrig, traces: Traces) -> None:
    """Nor do they take more and more: soak.py looks for longer, and more closely."""
    path = str(lab.write(DIRECT))
    figures = soak.soak(lab.command("run", "--quiet"), MANY_RUNS, [path])
    assert not soak.grows(*figures[1:]), "start, middle, end:\n" + "\n".join(map(str, figures))
    traces.assert_none("after many runs")


def test_scenarios_that_fall_short_leave_nothing(lab: Natrig, traces: Traces) -> None:
    """Neither does a verdict that stops the steps half-way."""
    wrong = DIRECT.replace("expect: direct", "expect: unreachable")
    assert lab.run("run", lab.write(wrong)).returncode == 1
    traces.assert_none("after a run that fell short")


def test_exec_leaves_nothing(lab: Natrig, traces: Traces) -> None:
    """Not even what the command put into the background."""
    ran = lab.run(
        "exec", lab.write(DEAD), "a", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & exit 5"
    )  # fmt: skip
    assert ran.returncode == 5, ran.stderr
    traces.assert_none("after exec")


def test_kill_leaves_nothing(lab: Natrig, traces: Traces) -> None:
    """Kill -9 comes at moments spread over a run's life, a daemon in its lab.

    The kernel takes a second or two to close the recorder's sockets behind it.
    """
    command = ("run", lab.write(DEAD))
    life_s = life_of(lab, *command)
    killed = 0
    for _ in range(3 * KILLS):
        if killed == KILLS:
            break
        moment_s = life_s * (killed + 0.5) / KILLS
        process = lab.start(*command)
        begin = time.monotonic()
        try:
            process.wait(timeout=moment_s)
            # This machine has become faster since the first one.
            life_s = min(life_s, time.monotonic() - begin)
        except subprocess.TimeoutExpired:
            killed += 1
        traces.look()
        process.kill()
        process.communicate()
        traces.assert_none(f"killed after {moment_s:.3f} s of {life_s:.3f}")
    assert killed >= KILLS // 2, "most runs ended before they were killed"


def life_of(lab: Natrig, *command: object) -> float:
    """Measure how long a run takes from its start to its end."""
    begin = time.monotonic()
    ran = lab.run(*command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return time.monotonic() - begin


def test_kill_leaves_the_recording_asked_for(lab: Natrig, traces: Traces) -> None:
    """Of what was to be kept nothing else is left, and no part of it lies about."""
    process = lab.start("run", "--real-time", "--keep", "kept", lab.write(LONG))
    wait_until(traces.look, "natrig's processes")
    wait_until(lambda: traces.look() and len(traces.seen) > 6, "namespaces of a lab")
    process.kill()
    process.communicate()
    traces.assert_none("killed")
    assert lab.files() <= {"scenario.yaml", "kept", "kept/scenario.pcapng"}


# What a client might leave: a TUN device, somebody in a session of its own, files.
MESSY = """
[ $1 = start ] && ip tuntap add dev natrigtun mode tun && ip link set natrigtun up
[ $1 = start ] && setsid sleep 1000 >/dev/null 2>&1 &
[ $1 = start ] && touch "$NATRIG_RUN/run" "$NATRIG_DIR/dir" /run/natrig-was-here
[ $1 = ping ] && echo nameserver 25.0.0.1 >/etc/resolv.conf
"""


def with_messy_client(lab: Natrig) -> Natrig:
    """Give a natrig whose udp-echo leaves whatever it can."""
    make_client(lab.work / "clients" / "udp-echo", MESSY)
    return replace(
        lab, environment={**lab.environment, "NATRIG_CLIENTS": str(lab.work / "clients")}
    )


def test_real_clients_leave_nothing(lab: Natrig, traces: Traces) -> None:
    """Neither what they started, nor devices, nor files."""
    need("ip", "nft", "setsid")
    before = host_network()
    resolv = Path("/etc/resolv.conf").read_bytes()
    ran = with_messy_client(lab).run("run", lab.write(ECHO))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    traces.assert_none("after a run with real clients")
    assert Path("/etc/resolv.conf").read_bytes() == resolv
    assert_host_unchanged(before)


def test_kill_leaves_nothing_of_real_clients(lab: Natrig, traces: Traces) -> None:
    """Kill -9 while they start, while they ping, and while they are stopped."""
    need("ip", "nft", "setsid")
    natrig = with_messy_client(lab)
    before = host_network()
    command = ("run", lab.write(ECHO))
    life_s = life_of(natrig, *command)
    killed = 0
    for number in range(CLIENT_KILLS):
        moment_s = life_s * (number + 0.5) / CLIENT_KILLS
        process = natrig.start(*command)
        try:
            process.wait(timeout=moment_s)
        except subprocess.TimeoutExpired:
            killed += 1
        traces.look()
        process.kill()
        process.communicate()
        traces.assert_none(f"killed after {moment_s:.3f} s of {life_s:.3f}")
    assert killed >= CLIENT_KILLS // 2, "most runs ended before they were killed"
    assert_host_unchanged(before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_an_interrupted_run_tells_what_it_has(
    lab: Natrig, traces: Traces, number: signal.Signals
) -> None:
    """Exit 130, the verdict so far, and the lab is gone."""
    process = lab.start("run", "-v", "--real-time", "--keep", "kept", lab.write(LONG))
    kept = lab.work / "kept" / "scenario.pcapng"
    wait_until(lambda: traces.look() and kept.exists(), "a recording")
    wait_until(lambda: traces.look() and kept.stat().st_size > 20000, "packets in the recording")
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=GONE_S)
    assert process.returncode == 130, output + errors
    assert "interrupted" in output
    assert "start all" in output
    assert not errors
    traces.assert_none("interrupted")


def test_an_interrupted_run_still_gives_json(lab: Natrig, traces: Traces) -> None:
    """The object is whole, and the scenario in it is marked."""
    process = lab.start("run", "--json", "--real-time", lab.write(LONG))
    wait_until(lambda: traces.look() and len(traces.seen) > 6, "namespaces of a lab")
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=GONE_S)
    assert process.returncode == 130, output + errors
    (one,) = json.loads(output)["scenarios"]
    assert one["verdict"] != "holds"
    assert one["interrupted"]
    traces.assert_none("interrupted")

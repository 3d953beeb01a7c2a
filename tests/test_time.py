# SPDX-License-Identifier: BSD-3-Clause
"""Lab time: skipped or waited for, and run again, a scenario is the same run.

Real time takes its time, so by default only a few short scenarios are run both
ways; NATRIG_SLOW=1 runs all that end within five minutes of lab time.

What must be equal is, at each vantage and in each direction, which packets
came in which order. Left out are:
- TCP: its segments, retransmissions and delayed acknowledgements are the
  kernel's, on a clock that nobody skips; ARP likewise. (So a scenario that
  cuts off a relay that somebody is connected to cuts it off both ways.)
- the moment at which a port-mapping daemon answers: it is a process of its
  own, so its packets are compared as a row of their own.
- the kernel's own ICMP "network unreachable": it gives a host one a second of
  real time (other ICMP errors are not limited in a lab).
- ports that a kernel chose: they are random in every run.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import soak
from helpers import DIRECT, FOLDERS, USERS, Natrig
from packets import Packet, read_packets

# One user is enough here: that both can run labs is tested elsewhere.
pytestmark = pytest.mark.parametrize("natrig", USERS[-1:], indirect=True)

SLOW = os.environ.get("NATRIG_SLOW") == "1"
# A few seconds of lab time each; the last has a port-mapping daemon.
QUICK = ("02-hard-c-no-mapping-twin", "07-relay-carries", "12-oracle-2-data", "16-oracle-6-disco")
REAL_MAX_S = 320  # of lab time, to be waited for
# Labs that wait at once. They sleep most of the time; a daemon that is late by
# 250 ms is no daemon to a client, so those get more of the machine.
AT_ONCE, AT_ONCE_WITH_DAEMON = 16, 4
# Frames bear the time at which they passed, later than the instant that made
# them pass by what the machine had to do: 0.1 s was seen under load.
TOLERANCE_S = 1.0
# More than what has lab time go on (1 s), though not more than what libminiupnpc waits.
STAND_S, RUN_S, MAX_STOPS = 1.2, 0.05, 14
NET_UNREACHABLE = "icmp.3.0"

# A packet from inside and the STEPS after it; LAST later one from outside, which is
# let in or not.
TWO_PHASES = """\
natrig: 1
title: two phases of the UDP timeout, here 4 s and 9 s
routers:
  home-a: {{nat: {nat}, udp-timeout: 4s, udp-stream-timeout: 9s}}
hosts:
  a: {{router: home-a}}
  c: {{}}
  d: {{}}
steps:
  - {{send: {{from: a, to: c, text: first}}}}
{steps}  - {{wait: {last}}}
  - {{send: {{from: {sender}, to: a, text: last}}}}
order:
  - {claim} {sender} -> a dies at home-a
"""
ANSWER = "  - {send: {from: c, to: a, text: answer}}\n"
MORE = "  - {send: {from: a, to: c, text: more}}\n"
SHORT = "  - {wait: 1s}\n"
LONG = "  - {wait: 2500ms}\n"
# The steps, LAST, and whether the kernel in its own time lets the last one in: from C,
# and through a full cone, which counts from the last packet that went out, from D.
PHASES = {
    "unanswered-29": ("", "3500ms", True, True),
    "unanswered-31": ("", "4500ms", False, False),
    "unanswered-twice": (LONG + MORE, "4500ms", False, False),
    "answered-early-29": (SHORT + ANSWER, "3500ms", True, False),
    "answered-early-31": (SHORT + ANSWER, "4500ms", False, False),
    "answered-late": (LONG + ANSWER, "4500ms", False, False),
    "answered-late-twice": (LONG + ANSWER + ANSWER, "8500ms", True, False),
    "answered-after-more": (LONG + MORE + ANSWER, "4500ms", False, False),
    "answered-late-and-more": (LONG + ANSWER + MORE, "8500ms", True, True),
    "stream-119": (SHORT + ANSWER + LONG + MORE, "8500ms", True, True),
    "stream-121": (SHORT + ANSWER + LONG + MORE, "9500ms", False, False),
}


def run_json(natrig: Natrig, *arguments: object) -> dict[str, dict[str, Any]]:
    """Run scenarios and give what natrig's JSON says of each, by folder and name."""
    ran = natrig.run("run", "--quiet", "--json", *arguments, timeout_s=1800)
    assert ran.returncode in (0, 1), (ran.returncode, ran.stderr)
    return {name_of(one["file"]): one for one in json.loads(ran.stdout)["scenarios"]}


def name_of(path: str | Path) -> str:
    """Name a scenario by its folder and file."""
    return f"{Path(path).parent.name}/{Path(path).stem}"


def assert_all_hold(verdicts: dict[str, dict[str, Any]]) -> None:
    """Every scenario holds."""
    assert {name: one["verdict"] for name, one in verdicts.items()} == dict.fromkeys(
        verdicts, "holds"
    )


def all_scenarios(natrig: Natrig) -> list[Path]:
    """Name the scenarios that ought to hold."""
    return [path for name in FOLDERS for path in sorted((natrig.scenarios / name).glob("*.y*ml"))]


def has_daemon(path: Path) -> bool:
    """Tell whether a scenario has a port-mapping daemon in it."""
    return bool(re.search(r"upnp|nat-pmp|pcp", path.read_text(encoding="utf-8")))


def run_really(natrig: Natrig, keep: str, paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Run scenarios in real time, as many at once as the machine can bear."""
    found = {}
    for daemon, at_once in ((False, AT_ONCE), (True, AT_ONCE_WITH_DAEMON)):
        some = [path for path in paths if has_daemon(path) == daemon]
        if some:
            arguments = ("--real-time", "-j", at_once, "--keep", keep, *some)
            found.update(run_json(natrig, *arguments))
    return found


# --- the same in both modes -----------------------------------------------------


def test_real_time_is_the_same_run(lab: Natrig) -> None:
    """Verdicts, outcomes, paths, and every packet at every vantage."""
    paths = all_scenarios(lab)
    if not SLOW:
        paths = [path for path in paths if path.stem in QUICK]
    skipped = run_json(lab, "--keep", "skipped", *paths)
    paths = [path for path in paths if skipped[name_of(path)]["lab"]["lab_s"] <= REAL_MAX_S]
    real = run_really(lab, "real", paths)
    assert len(real) == len(paths) >= len(QUICK)
    found = [differences(lab.work, skipped[name], one) for name, one in real.items()]
    assert dict(zip(real, found)) == dict.fromkeys(real)


def outcomes(one: dict[str, Any]) -> list[Any]:
    """Give what a run says that does not depend on the clock."""
    steps = [(step["text"], step["got"], step["path"], step["holds"]) for step in one["steps"]]
    return [one["verdict"], steps, [(order["statement"], order["holds"]) for order in one["order"]]]


def differences(work: Path, one: dict[str, Any], other: dict[str, Any]) -> object:
    """Tell the first difference of two runs of a scenario; None where they are the same run."""
    if outcomes(one) != outcomes(other):
        return outcomes(one), outcomes(other)
    return different_reply(one, other) or different_packet(work, one, other)


def different_reply(one: dict[str, Any], other: dict[str, Any]) -> object:
    """Give the step whose first reply came sooner or later in the other run."""
    for here, there in zip(one["steps"], other["steps"]):
        times = (here["first_reply_ms"], there["first_reply_ms"])
        if (times[0] is None) != (times[1] is None):
            return here["text"], times
        if None not in times and abs(times[0] - times[1]) > TOLERANCE_S * 1000:
            return here["text"], times
    return None


def rows(path: Path) -> dict[tuple[str, bool, bool], list[Packet]]:
    """Give a recording's packets by vantage and direction, the daemons' apart."""
    found = defaultdict(list)
    for packet in read_packets(path):
        portmap = packet.kind.startswith(("nat-pmp", "ssdp"))
        if packet.kind != NET_UNREACHABLE:
            found[packet.vantage, packet.outward, portmap].append(packet)
    return found


def different_packet(work: Path, one: dict[str, Any], other: dict[str, Any]) -> object:
    """Give the first packet at a vantage that is another, or at another time, in the other run."""
    ours, theirs = (rows(work / run["recording"]) for run in (one, other))
    for place in sorted(ours.keys() | theirs.keys()):
        pairs = itertools.zip_longest(ours.get(place, []), theirs.get(place, []))
        for number, (here, there) in enumerate(pairs):
            if not here or not there or here.what != there.what:
                return place, number, here, there
            if abs(here.time_s - there.time_s) > TOLERANCE_S:
                return place, number, here, there
    return None


@pytest.mark.parametrize(("nat", "sender"), [("easy", "c"), ("full-cone", "d")])
def test_the_two_phases_of_the_udp_timeout(lab: Natrig, nat: str, sender: str) -> None:
    """The kernel's 2 s are real ones, and come out the same where they are skipped.

    What a full cone has learnt of a port lasts as long, for any sender.
    """
    paths = []
    for name, (steps, last, *lives) in PHASES.items():
        claim = "never" if lives[nat == "full-cone"] else "some"
        text = TWO_PHASES.format(nat=nat, sender=sender, steps=steps, last=last, claim=claim)
        paths.append(lab.write(text, f"{name}.yaml"))
    assert_all_hold(run_really(lab, "real", paths))
    assert_all_hold(run_json(lab, *paths))


# --- real time, and what skipping saves ------------------------------------------


def test_real_time_is_waited_for(lab: Natrig) -> None:
    """--real-time takes at least the lab's time, and says so."""
    path = lab.write(DIRECT.replace("order:", "  - {wait: 3s}\norder:"))
    (one,) = run_json(lab, "--real-time", path).values()
    assert one["verdict"] == "holds"
    assert not one["lab"]["skipped"]
    assert one["lab"]["wall_ms"] >= one["lab"]["lab_s"] * 1000 >= 3000


def test_idle_time_is_skipped(lab: Natrig) -> None:
    """An hour does not take one, and the recording is an hour long."""
    path = lab.write(DIRECT.replace("order:", "  - {wait: 1h}\norder:"))
    (one,) = run_json(lab, "--keep", "kept", path).values()
    assert one["lab"]["skipped"]
    assert one["lab"]["lab_s"] > 3600
    assert one["lab"]["wall_ms"] < 1000 * one["lab"]["lab_s"] / 10
    last = read_packets(lab.work / "kept" / "scenario.pcapng")[-1]
    assert last.time_s < one["lab"]["lab_s"] + TOLERANCE_S


def test_instants_have_no_length(lab: Natrig) -> None:
    """Lab time stands still while packets are under way: 3 s are 3 s."""
    path = lab.write(DIRECT.replace("order:", "  - {wait: 3s}\n  - {wait: 500ms}\norder:"))
    for mode in ([], ["--real-time"]):
        (one,) = run_json(lab, *mode, path).values()
        assert [step["lab_ms"] for step in one["steps"][-2:]] == [3000, 500]


def test_a_machine_that_stands_still(lab: Natrig) -> None:
    """Where nothing runs for a second, again and again, lab time does not run either."""
    path = lab.scenarios / "seed" / "16-oracle-6-disco.yaml"
    process = lab.start("run", "--quiet", "--jobs", 1, path, path)
    stops = 0
    while process.poll() is None:
        # Not waited for but what is tested: it runs a little, and stands still for long.
        time.sleep(RUN_S)
        stopped = soak.family(process.pid)
        signal_all(stopped, signal.SIGSTOP)
        time.sleep(STAND_S if stops < MAX_STOPS else 0)
        stops += 1
        # A child may have been made between the look and the stop.
        signal_all({*stopped, *soak.family(process.pid)}, signal.SIGCONT)
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert stops > 2, "it was over before it could be stopped"


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to all that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


# --- same seed, same run ----------------------------------------------------------


def test_same_seed_same_ladder(lab: Natrig) -> None:
    """Two runs of each scenario differ in ports that a kernel chose, and in nothing else."""
    paths = all_scenarios(lab)
    first = run_json(lab, "--keep", "first", *paths)
    second = run_json(lab, "--keep", "second", *paths)
    assert len(first) == len(paths)
    found = [differences(lab.work, one, second[name]) for name, one in first.items()]
    assert dict(zip(first, found)) == dict.fromkeys(first)
    for name, one in first.items():
        other = second[name]
        assert ladder(lab, one["recording"]) == ladder(lab, other["recording"]), name


def ladder(natrig: Natrig, recording: str) -> list[str]:
    """Give the rungs that natrig show draws: no times, frames, or random ports.

    Nor whether the kernel told of an unreachable network, see above.

    Of what died on its way over a relay, the kernel's TCP decides where it did, and of two
    connections that have something at one instant, which it serves first: what goes over a
    relay is counted, apart from the rest.
    """
    ran = natrig.run("show", "--width", 1000, recording)
    assert (ran.returncode, ran.stderr) == (0, "")
    rungs = []
    relayed = []
    for line in ran.stdout.splitlines():
        rung = re.sub(r"^ *\d+ +\d+\.\d+", "", line)
        rung = re.sub(r"\(frames? [\d, ]+\)|[\d.]+ (s|ms|us)\b", "", rung)
        rung = rung.replace("; answered with ICMP network unreachable", "")
        rung = re.sub(r"\b(?!41641\b)\d{4,5}\b", "*", rung)
        if re.search(r" relay \S+$", rung):
            relayed.append(rung)
        elif not re.search(r"portmap$|icmp error$| relay .*: ", rung):
            rungs.append(rung)
    return rungs + sorted(relayed)


def test_another_seed_is_another_run(lab: Natrig) -> None:
    """What is random in the model comes from the scenario's seed."""
    paths = [
        lab.write(f"seed: {seed}\n{DIRECT}", f"{name}.yaml")
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    ]
    run_json(lab, "--keep", "kept", *paths)
    keys = [disco_keys(lab.work / "kept" / f"{path.stem}.pcapng") for path in paths]
    assert keys[0] == keys[1]
    assert keys[0].isdisjoint(keys[2])


def disco_keys(path: Path) -> set[bytes]:
    """Give the senders' keys that a recording's DISCO messages begin with."""
    magic = b"TS\xf0\x9f\x92\xac"
    return {part[:32] for part in path.read_bytes().split(magic)[1:]}


@pytest.mark.parametrize(
    "name", ["seed/01-easy-both", "seed/16-oracle-6-disco", "time/07-upnp-daemon-restart"]
)
def test_no_flake(lab: Natrig, name: str) -> None:
    """The same scenario over and over; the last two have a port-mapping daemon."""
    path = lab.scenarios / f"{name}.yaml"
    runs = 200 if SLOW else 25
    ran = lab.run("run", "--quiet", "--json", "-j", 2, *[path] * runs, timeout_s=1800)
    verdicts = json.loads(ran.stdout)["scenarios"]
    assert len(verdicts) == runs
    assert different(verdicts) == {}, f"of {runs} runs"


def different(verdicts: Sequence[dict[str, Any]]) -> dict[int, list[Any]]:
    """Give the runs whose outcome is not that of the first, or that fall short."""
    usual = outcomes(verdicts[0])
    return {
        number: outcomes(one)
        for number, one in enumerate(verdicts)
        if one["verdict"] != "holds" or outcomes(one) != usual
    }

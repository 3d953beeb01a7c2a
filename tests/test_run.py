# SPDX-License-Identifier: BSD-3-Clause
"""natrig run: verdicts, reports and recordings.

That every scenario of the tree holds is tested by the scenarios themselves:
pytest collects them.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from helpers import DEAD, DIRECT, SOURCE, Natrig, need

SEED = sorted((SOURCE / "scenarios" / "seed").glob("*.y*ml"))
# Expects what does not happen, in a step and in an order statement.
WRONG = DIRECT.replace("expect: direct", "expect: relay").replace(
    "some b -> a reaches a", "never a -> b reaches b"
)
NUMBER = (int, float)
SCENARIO_KEYS = {"file": str, "title": str, "verdict": str, "steps": list, "order": list}
STEP_KEYS = {"verb": str, "got": str, "holds": bool, "line": int, "lab_ms": NUMBER}
ORDER_KEYS = {"statement": str, "line": int, "holds": bool, "why": str, "frames": list}
LAB_KEYS = {"up_ms": NUMBER, "recorded": int, "dropped": int}


def run_json(natrig: Natrig, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run `natrig run --json` and give its status and its scenarios."""
    ran = natrig.run("run", "--json", *arguments)
    try:
        return ran.returncode, json.loads(ran.stdout)["scenarios"]
    except ValueError:
        pytest.fail(f"exit {ran.returncode}, no JSON: {ran.stdout}{ran.stderr}")


def check_types(entry: dict[str, Any], keys: dict[str, Any]) -> None:
    """Each of KEYS is in ENTRY and is of its type."""
    for key, kind in keys.items():
        assert isinstance(entry.get(key), kind), f"{key}: {entry.get(key)!r} in {entry}"


@pytest.mark.parametrize("path", SEED[:3], ids=[one.stem for one in SEED[:3]])
def test_seed_scenarios_hold(lab: Natrig, path: Path) -> None:
    """A seed scenario holds, for root and for anybody else."""
    ran = lab.run("run", lab.scenarios / "seed" / path.name)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(rf"^holds .*{re.escape(path.name)}$", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("text", [DIRECT, DEAD], ids=["direct", "dead"])
def test_json_of_what_holds(lab: Natrig, text: str) -> None:
    """The keys that others build on are there, with their types."""
    status, (one,) = run_json(lab, lab.write(text))
    assert (status, one["verdict"]) == (0, "holds"), one
    check_types(one, SCENARIO_KEYS)
    assert one["title"] in text
    for step in one["steps"]:
        check_types(step, STEP_KEYS)
        assert step["expect"] is None or isinstance(step["expect"], str)
        assert step["holds"]
    for order in one["order"]:
        check_types(order, ORDER_KEYS)
        assert order["holds"]
    check_types(one["lab"], LAB_KEYS)
    assert one["lab"]["recorded"] > 0
    assert one["lab"]["dropped"] == 0


def test_json_of_a_ping(lab: Natrig) -> None:
    """A ping tells its path, and when the first reply came."""
    _, (direct,) = run_json(lab, lab.write(DIRECT))
    ping = direct["steps"][1]
    assert (ping["verb"], ping["got"], ping["path"]) == ("ping", "direct", "direct")
    assert 0 <= ping["first_reply_ms"] <= 15000
    _, (dead,) = run_json(lab, lab.write(DEAD))
    ping = dead["steps"][2]
    assert (ping["got"], ping["first_reply_ms"]) == ("unreachable", None)


def test_frames_are_in_the_recording(lab: Natrig) -> None:
    """Order statements name frames as proof, and those frames exist."""
    _, (one,) = run_json(lab, lab.write(DIRECT))
    assert all(order["frames"] for order in one["order"])
    frames = [frame for order in one["order"] for frame in order["frames"]]
    assert all(1 <= frame <= one["lab"]["recorded"] for frame in frames)


def test_what_falls_short_is_explained(lab: Natrig) -> None:
    """Exit 1; file, line, expected, got, and the journey that proves it."""
    path = lab.write(WRONG)
    ran = lab.run("run", path)
    assert ran.returncode == 1
    assert re.search(rf"^falls short .*{path.name}$", ran.stdout, re.MULTILINE)
    told = " ".join(ran.stdout.split())
    assert f"{path}:11" in told
    assert "ping a -> b" in told
    assert "expected relay, got direct" in told
    assert f"{path}:14" in told
    assert "never a -> b reaches b" in told
    assert re.search(r"frames? \d+", told), "no packet is named that proves it"
    assert re.search(r"\ba's .*\b(left|reached)\b", told), "no journey is told"


def test_json_of_what_falls_short(lab: Natrig) -> None:
    """Every report has the reason: JSON's "why" and "frames"."""
    status, (one,) = run_json(lab, lab.write(WRONG))
    assert (status, one["verdict"]) == (1, "falls-short")
    step = one["steps"][1]
    order = one["order"][1]
    assert not step["holds"]
    assert (step["expect"], step["got"], step["line"]) == ("relay", "direct", 11)
    assert (order["holds"], order["line"]) == (False, 14)
    assert step["why"]
    assert order["why"]
    assert order["frames"]


def test_junit(lab: Natrig) -> None:
    """--junit writes XML whose counts are those of the run."""
    lab.write(DIRECT, "fine.yaml")
    lab.write(WRONG.replace("title: a", 'title: <&"> a'), "wrong.yaml")
    ran = lab.run("run", "--junit", "report.xml", ".")
    assert ran.returncode == 1
    suite = ElementTree.parse(lab.work / "report.xml").getroot()
    assert suite.tag == "testsuite"
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    fine, wrong = suite.findall("testcase")
    assert (fine.get("classname"), fine.find("failure")) == ("./fine.yaml", None)
    assert float(fine.get("time", "")) > 0
    failure = wrong.find("failure")
    assert failure is not None
    assert "wrong.yaml:11" in (failure.text or "")
    assert '<&">' in wrong.get("name", "")


def test_tap(lab: Natrig) -> None:
    """--tap writes TAP 14: version, plan, a numbered test point a scenario."""
    lab.write(DIRECT, "fine.yaml")
    lab.write(re.sub("title: .*", 'title: "#1, a -> b"', WRONG), "wrong.yaml")
    ran = lab.run("run", "--tap", ".")
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    assert lines[:2] == ["TAP version 14", "1..2"]
    points = [line for line in lines[2:] if not line.startswith("#")]
    assert re.fullmatch(r"ok 1 - \./fine\.yaml: .*", points[0])
    assert re.fullmatch(r"not ok 2 - \./wrong\.yaml: \\#1.*", points[1])
    assert len(points) == 2
    assert any("wrong.yaml:11" in line for line in lines if line.startswith("#"))


def test_keep_leaves_recordings_and_nothing_else(lab: Natrig) -> None:
    """--keep DIR: a recording a scenario, the user's own, nothing besides."""
    lab.write(DIRECT, "direct.yaml")
    lab.write(DEAD, "dead.yaml")
    before = lab.files()
    ran = lab.run("run", "--keep", "kept", ".")
    assert ran.returncode == 0, ran.stdout
    assert lab.files() - before == {"kept", "kept/direct.pcapng", "kept/dead.pcapng"}
    for recording in (lab.work / "kept").iterdir():
        mode = recording.stat()
        assert stat.S_ISREG(mode.st_mode)
        assert mode.st_uid == lab.work.stat().st_uid
        assert mode.st_size > 1000


def test_keep_numbers_the_runs_of_one_scenario(lab: Natrig) -> None:
    """A file named twice is run twice, and each run has a recording."""
    path = lab.write(DIRECT, "direct.yaml")
    ran = lab.run("run", "-j", "2", "--keep", "kept", path, path)
    assert ran.returncode == 0, ran.stdout
    recordings = {recording.name for recording in (lab.work / "kept").iterdir()}
    assert recordings == {"direct.pcapng", "direct-2.pcapng"}
    for recording in recordings:
        assert lab.run("verify", path, f"kept/{recording}").returncode == 0


def test_keep_in_a_folder_with_too_long_a_name(lab: Natrig) -> None:
    """A recording that cannot be named is not made under another name."""
    path = lab.write(DIRECT, "direct.yaml")
    folder = "/".join(["x" * 200] * 3)
    (lab.work / folder).mkdir(parents=True)
    ran = lab.run("run", "--keep", folder, path)
    assert ran.returncode == 3
    assert "shorter folder" in ran.stdout
    assert not any((lab.work / folder).iterdir())


def test_without_keep_nothing_is_left(lab: Natrig) -> None:
    """A run leaves no file behind that was not asked for."""
    path = lab.write(DIRECT)
    assert lab.run("run", path).returncode == 0
    assert lab.files() == {path.name}


@pytest.mark.parametrize("text", [DIRECT, DEAD, WRONG], ids=["direct", "dead", "wrong"])
def test_verify_agrees_with_the_live_run(lab: Natrig, text: str) -> None:
    """From the file alone come the same answers, with the same frames."""
    path = lab.write(text)
    _, (live,) = run_json(lab, "--keep", "kept", path)
    ran = lab.run("verify", "--json", path, f"kept/{path.stem}.pcapng")
    told = json.loads(ran.stdout)
    keys = ("statement", "line", "holds", "why", "frames")
    assert [[order[key] for key in keys] for order in told["order"]] == [
        [order[key] for key in keys] for order in live["order"]
    ]
    assert ran.returncode == (0 if all(order["holds"] for order in live["order"]) else 1)


def test_wireshark_reads_the_recording(lab: Natrig) -> None:
    """Tshark opens it without a warning, and each vantage is an interface."""
    need("tshark")
    assert lab.run("run", "--keep", "kept", lab.write(DIRECT)).returncode == 0
    command = ["tshark", "-r", "kept/scenario.pcapng", "-T", "fields"]
    command += ["-e", "frame.interface_name", "-e", "_ws.malformed"]
    ran = lab.run_command(command)
    warnings = [line for line in ran.stderr.splitlines() if not line.startswith("Running as user")]
    assert (ran.returncode, warnings) == (0, [])
    names = {line.split("\t")[0] for line in ran.stdout.splitlines()}
    assert all(re.fullmatch(r"[a-z0-9-]+\.[a-z0-9]+", name) for name in names), names
    nodes = {name.split(".")[0] for name in names}
    assert {"a", "b", "home-a", "home-b", "relay", "control"} <= nodes


def test_show_tells_the_journeys(lab: Natrig) -> None:
    """Natrig show: a ladder with the nodes and what passed between them."""
    assert lab.run("run", "--keep", "kept", lab.write(DIRECT)).returncode == 0
    ran = lab.run("show", "kept/scenario.pcapng")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert max(map(len, ran.stdout.splitlines())) <= 80
    for word in ("home-a", "home-b", "disco.ping", "wireguard"):
        assert word in ran.stdout


def test_real_time_gives_the_same_verdict(lab: Natrig) -> None:
    """--real-time waits the time out and finds the same."""
    path = lab.write(DIRECT)
    _, (skipped,) = run_json(lab, path)
    _, (real,) = run_json(lab, "--real-time", path)
    assert real["verdict"] == skipped["verdict"] == "holds"
    assert [step["got"] for step in real["steps"]] == [step["got"] for step in skipped["steps"]]


def test_folders_run_in_order(lab: Natrig) -> None:
    """Several jobs at once, and the output is in the order of the files."""
    for number in range(6):
        lab.write(DIRECT, f"{number}.yaml")
    status, scenarios = run_json(lab, "-j", "3", ".")
    assert status == 0
    assert [Path(one["file"]).name for one in scenarios] == [f"{n}.yaml" for n in range(6)]


def test_a_recording_folder_that_cannot_be_made(lab: Natrig) -> None:
    """--keep below a file is a usage error, before anything is built."""
    path = lab.write(DIRECT)
    ran = lab.run("run", "--keep", f"{path}/kept", path)
    assert ran.returncode == 2
    assert "kept" in ran.stderr
    shutil.rmtree(lab.work)

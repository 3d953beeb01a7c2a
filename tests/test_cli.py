# SPDX-License-Identifier: BSD-3-Clause
"""The command line: help, usage errors, and scenarios that are refused."""

from __future__ import annotations

import os
import pty
import json
import re
import subprocess
from pathlib import Path

import pytest

from helpers import DIRECT, SOURCE, Natrig

VERBS = (
    "run", "verify", "show", "check-scenario", "shell", "exec",
    "probe", "nat", "lab", "client", "doctor", "bench",
)  # fmt: skip
BAD = sorted((SOURCE / "scenarios" / "bad").glob("*.y*ml"))
SEED = sorted((SOURCE / "scenarios" / "seed").glob("*.y*ml"))
ESCAPE = "\x1b"


def test_help_names_every_verb(natrig: Natrig) -> None:
    """The program's help is on standard output and lists the verbs."""
    ran = natrig.run("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    for verb in VERBS:
        assert re.search(rf"^ +{verb} ", ran.stdout, re.MULTILINE), verb


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(natrig: Natrig, verb: str) -> None:
    """A verb's help opens with its usage and fits a terminal."""
    ran = natrig.run(verb, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: natrig {verb}")
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_version(natrig: Natrig) -> None:
    """The version is the one that configure.ac states."""
    stated = re.search(r"AC_INIT\(\[natrig\], \[([^]]+)\]", (SOURCE / "configure.ac").read_text())
    assert stated
    ran = natrig.run("--version")
    assert (ran.returncode, ran.stdout) == (0, f"natrig {stated[1]}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Usage: natrig VERB"),
        (("rum",), "unknown verb 'rum'; did you mean 'run'?"),
        (("qqqqqqqq",), "unknown verb 'qqqqqqqq'"),
        (("run",), "which scenario"),
        (("run", "--jsno", "x"), "--json"),
        (("run", "-Z", "x"), "-Z"),
        (("run", "--jobs", "many", "x"), "--jobs wants a number"),
        (("run", "--json", "--tap", "x"), "exclude each other"),
        (("run", "--junit"), "--junit"),
        (("verify", "x"), "wants a scenario and a recording"),
        (("show",), "wants one recording"),
        (("show", "--widht", "80", "x"), "--width"),
        (("check-scenario",), "which scenario"),
        (("exec", "x", "a"), "wants FILE HOST -- COMMAND"),
        (("shell",), "wants FILE"),
        (("doctor", "now"), "takes no arguments"),
        (("bench", "--jsno"), "--json"),
    ],
)
def test_usage_errors(natrig: Natrig, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be understood is exit 2 and a word on what would be."""
    ran = natrig.run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr


@pytest.mark.parametrize("verb", ["run", "check-scenario"])
def test_a_missing_file_is_named(natrig: Natrig, verb: str) -> None:
    """A file that is not there is a usage error that names it."""
    ran = natrig.run(verb, "nowhere.yaml")
    assert ran.returncode == 2
    assert "nowhere.yaml" in ran.stderr
    assert "No such file" in ran.stderr


def test_an_empty_folder_is_no_success(natrig: Natrig) -> None:
    """Where there is nothing to run, nothing has been shown to hold."""
    (natrig.work / "empty").mkdir()
    ran = natrig.run("run", "empty")
    assert ran.returncode == 2
    assert "empty" in ran.stderr


@pytest.mark.parametrize("path", SEED, ids=[one.stem for one in SEED])
def test_good_scenarios_are_understood(natrig: Natrig, path: Path) -> None:
    """check-scenario accepts the scenarios that are run."""
    ran = natrig.run("check-scenario", natrig.scenarios / "seed" / path.name)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert path.name in ran.stdout


@pytest.mark.parametrize("verb", ["run", "check-scenario"])
@pytest.mark.parametrize("path", BAD, ids=[one.stem for one in BAD])
def test_bad_scenarios_are_refused(natrig: Natrig, path: Path, verb: str) -> None:
    """File, line, column and reason, on standard error, nothing built."""
    ran = natrig.run(verb, natrig.scenarios / "bad" / path.name)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.search(rf"/{re.escape(path.name)}:\d+:\d+: \S", ran.stderr), ran.stderr


def test_there_are_enough_bad_scenarios() -> None:
    """The language has many ways to be wrong: keep an example of each."""
    assert len(BAD) >= 30


def test_one_bad_scenario_stops_a_folder(natrig: Natrig) -> None:
    """Nothing runs when anything is refused; every refusal is told."""
    natrig.write(DIRECT, "fine.yaml")
    natrig.write(DIRECT.replace("easy", "eazy"), "wrong.yaml")
    natrig.write(DIRECT.replace("expect: direct", "expect: indirect"), "wrong-too.yaml")
    ran = natrig.run("run", ".")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "wrong.yaml:4:" in ran.stderr
    assert "easy" in ran.stderr
    assert "wrong-too.yaml:11:" in ran.stderr
    assert "fine.yaml" not in ran.stderr


def test_piped_output_is_plain(lab: Natrig) -> None:
    """No colour, no cursor and no progress where no terminal is."""
    ran = lab.run("run", "-v", lab.write(DIRECT))
    assert ran.returncode == 0
    assert ESCAPE not in ran.stdout + ran.stderr
    assert "\r" not in ran.stdout + ran.stderr


def test_a_terminal_gets_colour_and_80_columns(lab: Natrig) -> None:
    """On a terminal verdicts have colour and nothing is wider than it is."""
    short = DIRECT.replace("expect: direct", "for: 3s, expect: unreachable")
    main_fd, terminal_fd = pty.openpty()
    command = ["stty", "-F", os.ttyname(terminal_fd), "columns", "80", "rows", "24"]
    subprocess.run(command, check=True)
    environment = {**lab.environment, "TERM": "xterm"}
    process = subprocess.Popen(
        lab.command("run", "-v", lab.write(short)),
        cwd=lab.work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=terminal_fd,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal_fd)
    shown = read_terminal(main_fd)
    assert process.wait(timeout=60) == 1
    assert ESCAPE in shown
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)
    too_wide = [line for line in plain.splitlines() if len(line) > 80]
    assert not too_wide


def read_terminal(fd: int) -> str:
    """Read a terminal until nobody has it open any more."""
    parts = []
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:  # EIO: that is how a terminal ends
            break
        if not part:
            break
        parts.append(part)
    os.close(fd)
    return b"".join(parts).decode()


KNOBS = """natrig: 1
title: knobs
routers:
  home: {nat: easy, tcp-timeout: 5m}
  odd: {nat: {mapping: eim, filtering: adf, ports: block, block-size: 64}, pool: 3, hairpin: internal, lifetime: absolute}
hosts:
  a: {router: home}
steps:
  - {start: all}
"""


def test_nat_show_says_what_does_it(natrig: Natrig) -> None:
    """netfilter, or the engine and why; with every knob in words."""
    natrig.write(KNOBS, "knobs.yaml")
    ran = natrig.run("nat", "show", "knobs.yaml", "home")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"done by +netfilter\n", ran.stdout)
    assert re.search(r"TCP 5m, opening or closing 2m", ran.stdout)
    ran = natrig.run("nat", "show", "knobs.yaml", "odd")
    assert ran.returncode == 0, ran.stderr
    for words in (
        r"done by +natrig's own engine, since netfilter cannot do this:\n +ports block: ",
        r"ports +from a block for each host \(64 ports\)",
        r"addresses +3, each host has one of them",
        r"hairpinning +with the internal source",
        r"lifetime +timeouts count from a mapping's making",
        r"\{ 25\.0\.0\.1, 25\.0\.0\.2, 25\.0\.0\.3 \} ip protocol icmp accept",
    ):
        assert re.search(words, ran.stdout), words


def test_nat_show_as_json(natrig: Natrig) -> None:
    """A program reads the same."""
    natrig.write(KNOBS, "knobs.yaml")
    home = json.loads(natrig.run("nat", "show", "--json", "knobs.yaml", "home").stdout)
    odd = json.loads(natrig.run("nat", "show", "--json", "knobs.yaml", "odd").stdout)
    assert (home["by"], odd["by"]) == ("netfilter", "engine")
    assert "why-engine" not in home and odd["why-engine"].startswith("ports block")
    assert (home["tcp-timeout"], odd["tcp-timeout"]) == (300, 7440)
    assert (odd["pool"], odd["pooling"], odd["block-size"]) == (3, "paired", 64)
    assert (odd["hairpin"], odd["lifetime"], odd["refresh"]) == ("internal", "absolute", "both")

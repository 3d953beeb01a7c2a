# SPDX-License-Identifier: BSD-3-Clause
"""Real clients by their contract, clients/README.md, with the one that it shows.

Nothing need be installed for it: it sends datagrams through the lab's NATs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import ECHO, SOURCE, USERS, Natrig, make_client

SLOW = os.environ.get("NATRIG_SLOW") == "1"
DOCUMENTED = re.compile(r"^\| (`NATRIG_[^|]*) \|", re.MULTILINE)

MakeClient = Callable[..., Natrig]


@pytest.fixture
def with_client(natrig: Natrig) -> MakeClient:
    """Give the maker of a natrig that knows one more client."""

    def make(script: str = "", name: str = "udp-echo", **manifest: Any) -> Natrig:
        folder = natrig.work / "clients"
        make_client(folder / name, script, manifest)
        return replace(natrig, environment={**natrig.environment, "NATRIG_CLIENTS": str(folder)})

    return make


@pytest.fixture
def lab_client(lab: Natrig, with_client: MakeClient) -> MakeClient:
    """Give the same where labs can run."""
    return with_client


def run_json(natrig: Natrig, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Run one scenario with --json; its exit status and its object."""
    ran = natrig.run("run", "--json", *arguments)
    assert ran.stdout, ran.stderr
    (one,) = json.loads(ran.stdout)["scenarios"]
    return ran.returncode, one


# --- verdicts ----------------------------------------------------------------


def test_the_contracts_example_holds(lab_client: MakeClient) -> None:
    """Steps and order statements are proved by a third party's packets."""
    natrig = lab_client()
    status, one = run_json(natrig, natrig.write(ECHO))
    assert status == 0, one
    assert one["client"] == "udp-echo"
    assert [step["got"] for step in one["steps"]] == ["started", "unreachable", "direct", "direct"]
    assert "died at edge-c" in json.dumps(one["steps"][1])


def test_it_falls_short_of_what_does_not_come(lab_client: MakeClient) -> None:
    """A verdict about a third party's client can be no."""
    natrig = lab_client()
    wrong = ECHO.replace("expect: unreachable", "expect: reachable").replace("some a", "never a")
    status, one = run_json(natrig, natrig.write(wrong))
    assert status == 1, one
    assert [step["holds"] for step in one["steps"]] == [True, False, True, True]
    assert [line["holds"] for line in one["order"]] == [False, True]


def test_a_path_that_the_packets_do_not_show(lab_client: MakeClient) -> None:
    """What a client says of a reply does not count against the recording."""
    natrig = lab_client("[ $1 = ping ] && echo '{\"sent\": 1}' && echo '{\"reply\": 1}'")
    lies = ECHO.replace("expect: unreachable", "expect: reachable")
    status, one = run_json(natrig, natrig.write(lies))
    assert status == 1, one
    assert not one["steps"][1]["holds"]
    assert "the recording" in json.dumps(one["steps"][1])


def test_a_client_that_is_heard_late(lab_client: MakeClient) -> None:
    """On a busy machine an echo is back before natrig hears that it went."""
    natrig = lab_client(
        '[ $1 = ping ] && python3 "${0%/*}/example" ping | '
        'while read -r line; do sleep 0.2; echo "$line"; done'
    )
    status, one = run_json(natrig, natrig.write(ECHO))
    assert status == 0, one


# The example, with all echoes through the control server.
RELAYING = (
    (
        "        name, end = sock.recvfrom(2000)\n",
        "        name, end = sock.recvfrom(2000)\n"
        '        if name[:1] == b"{":\n'
        '            sock.sendto(name, tuple(seen[json.loads(name)["to"]]))\n'
        "            continue\n",
    ),
    ("if end == control:", 'if end == control and "to" not in words:'),
    (
        'send(seen[words["peer"]], ask=words["ping"], back=end)',
        'send(control, ask=words["ping"], back=end, me=env["HOST"], to=words["peer"])',
    ),
    (
        'send(end, reply=words["ask"], back=words["back"])',
        'send(control, reply=words["ask"], back=words["back"], to=words["me"])',
    ),
)


def test_a_relay_over_udp(lab_client: MakeClient) -> None:
    """What comes from a server is relayed, and the recording shows it."""
    natrig = lab_client()
    program = natrig.work / "clients" / "udp-echo" / "example"
    text = program.read_text()
    for old, new in RELAYING:
        assert old in text
        text = text.replace(old, new)
    program.write_text(text)
    scenario = ECHO.split("  - {ping: a")[0] + "  - {ping: a -> c, for: 2s, expect: relay}\n"
    status, one = run_json(natrig, natrig.write(scenario))
    assert status == 0, one
    assert "came to a from control with the reply" in json.dumps(one["steps"][1])
    wrong = natrig.write(scenario.replace("expect: relay", "expect: direct"))
    status, one = run_json(natrig, wrong)
    assert status == 1
    assert one["steps"][1]["got"] == "relay"


def test_any_scenario_can_be_run_with_it(lab_client: MakeClient) -> None:
    """--client puts it in the model's place."""
    natrig = lab_client()
    model = ECHO.replace(", client: udp-echo", "")
    status, one = run_json(natrig, "--client", "udp-echo", natrig.write(model))
    assert status == 0, one
    assert one["client"] == "udp-echo"


FAILURES = {
    "prepare fails": (
        "[ $1 = prepare ] && echo no ink >&2 && exit 7",
        ["udp-echo prepare: exit status 7", "no ink"],
    ),
    "prepare says why": (
        '[ $1 = prepare ] && echo \'{"error": "no paper"}\' && exit 1',
        ["udp-echo prepare: exit status 1: no paper"],
    ),
    "serve dies": (
        "[ $1 = serve ] && echo no light >&2 && exit 1",
        ["control: udp-echo has ended by itself", "no light"],
    ),
    "start dies": (
        "[ $1$NATRIG_HOST = starta ] && echo no luck >&2 && exit 1",
        ["a: udp-echo has ended by itself", "no luck"],
    ),
    "start dies silently": (
        "[ $1$NATRIG_HOST = starta ] && exit 0",
        ["a: udp-echo has ended by itself", "said nothing"],
    ),
    "start is killed": (
        "[ $1$NATRIG_HOST = starta ] && kill -9 $$",
        ["a: udp-echo has ended by itself"],
    ),
    "no JSON": (
        "[ $1$NATRIG_HOST = starta ] && echo hello && sleep 1000",
        ['a: udp-echo: start prints "hello": a JSON object a line was expected'],
    ),
    "JSON, but no object": (
        "[ $1 = ping ] && echo 5 && sleep 1000",
        ['a: udp-echo: ping prints "5": a JSON object a line was expected'],
    ),
    "ping dies": (
        "[ $1 = ping ] && echo no breath >&2 && exit 1",
        ["ping a -> c", "a: udp-echo has ended its ping by itself", "no breath"],
    ),
    "netcheck has none": (
        "",
        ["a: udp-echo has ended its netcheck without a report", "udp-echo has no netcheck"],
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_client_that_fails(lab_client: MakeClient, name: str) -> None:
    """It falls short, saying of which node, what it did and its last words.

    Not even `unreachable` holds with a client that is dead.
    """
    script, words = FAILURES[name]
    natrig = lab_client(script)
    text = ECHO.split("  - {ping: c")[0]
    if name.startswith("netcheck"):
        text = text.replace("  - {ping: a -> c, for: 3s, expect: unreachable}", "  - {netcheck: a}")
    ran = natrig.run("run", natrig.write(text))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    for word in words:
        assert word in " ".join(ran.stdout.split()), ran.stdout


def test_a_client_that_never_settles(lab_client: MakeClient) -> None:
    """The step says so after 30 s, and the scenario goes on."""
    natrig = lab_client("[ $1 = start ] && exec sleep 1000")
    if natrig.user != USERS[0]:
        pytest.skip("30 s for one user are enough")
    status, one = run_json(natrig, natrig.write(ECHO.split("  - {ping: c")[0]))
    assert one["steps"][0]["got"] == "started, but not settled after 30 s"
    assert one["steps"][1]["got"] == "unreachable"
    assert status == 0, one


@pytest.mark.skipif(not SLOW, reason="takes a minute: NATRIG_SLOW=1")
def test_a_server_that_never_serves(lab_client: MakeClient) -> None:
    """It falls short after a minute."""
    natrig = lab_client("[ $1 = serve ] && exec sleep 1000")
    status, one = run_json(natrig, natrig.write(ECHO))
    assert status == 1
    assert "control: udp-echo does not serve after 60 s" in one["error"]


# --- which there are -----------------------------------------------------------

MISSING = (
    "[ $1 = version ] && "
    'echo \'{"missing": [{"what": "a horn", "remedy": "blow harder"}], "notes": ["it is late"]}\' '
    "&& exit"
)


def test_what_is_missing_is_told(with_client: MakeClient) -> None:
    """Exit 3 with what and how to get it, which pytest skips with."""
    natrig = with_client(MISSING)
    status, one = run_json(natrig, natrig.write(ECHO))
    assert status == 3, one
    assert one["verdict"] == "could-not-run"
    assert one["error"] == "udp-echo cannot run here: a horn is missing: blow harder"


def test_doctor_tells_what_is_missing(with_client: MakeClient) -> None:
    """And that the rest is there."""
    natrig = with_client(MISSING)
    ran = natrig.run("client", "doctor", "udp-echo")
    assert ran.returncode == 3, ran.stderr
    assert re.search(r"^MISSING +a horn\n +to get it: blow harder$", ran.stdout, re.MULTILINE)
    assert "it is late" in ran.stdout
    said = natrig.run("client", "doctor", "udp-echo", "--json")
    assert said.returncode == 3
    assert json.loads(said.stdout)["missing"][0]["what"] == "a horn"


def test_doctor_of_what_is_there(with_client: MakeClient) -> None:
    """Exit 0; a version that is a failure is told as one."""
    natrig = with_client('[ "$1 $NATRIG_CLIENT_VERSION" = "version 9" ] && echo oh >&2 && exit 4')
    assert natrig.run("client", "doctor", "udp-echo").returncode == 0
    assert natrig.run("client", "doctor", "model").returncode == 0
    ran = natrig.run("client", "doctor", "udp-echo@9")
    assert ran.returncode == 3
    assert "udp-echo version: exit status 4; its last words: oh" in ran.stderr


def test_list_names_them_all(with_client: MakeClient) -> None:
    """Those of $NATRIG_CLIENTS and of the user, and whether they can run."""
    natrig = with_client(title="Echoes")
    make_client(natrig.work / ".local/share/natrig/clients/mine", MISSING)
    ran = natrig.run("client", "list")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^ok +udp-echo +Echoes$", ran.stdout, re.MULTILINE)
    assert re.search(r"^without +mine.*\n +mine cannot run here: a horn", ran.stdout, re.MULTILINE)
    listed = {one["name"]: one for one in json.loads(natrig.run("client", "list", "--json").stdout)}
    assert listed["model"]["available"]
    assert listed["udp-echo"]["available"]
    assert not listed["mine"]["available"]
    assert "a horn is missing" in listed["mine"]["why"]


def test_the_first_of_a_name_is_taken(with_client: MakeClient) -> None:
    """$NATRIG_CLIENTS comes before the user's own."""
    natrig = with_client(title="first")
    make_client(natrig.work / ".local/share/natrig/clients/udp-echo", "", {"title": "second"})
    shown = natrig.run("client", "list").stdout
    assert "first" in shown
    assert "second" not in shown


def test_unknown_names_are_refused(with_client: MakeClient) -> None:
    """With the nearest one, wherever they are said."""
    natrig = with_client()
    file = natrig.write(ECHO.replace("udp-echo", "udp-ecko"))
    meant = 'did you mean "udp-echo"?'
    for command in (
        ("run", "--client", "udp-ecko", natrig.write(ECHO, "good.yaml")),
        ("run", file),
        ("check-scenario", file),
        ("client", "doctor", "udp-ecko"),
    ):
        ran = natrig.run(*command)
        assert ran.returncode == 2, command
        assert meant in ran.stderr, (command, ran.stderr)
    assert f"{file}:7:31: " in natrig.run("run", file).stderr


def test_a_broken_manifest_is_told_with_its_place(with_client: MakeClient) -> None:
    """A key that nobody knows would else be a wish that nobody heard."""
    natrig = with_client(titel="Echoes")
    ran = natrig.run("client", "list")
    assert ran.returncode == 2
    assert 'udp-echo/client.json: unknown key "titel"; did you mean "title"?' in ran.stderr


def test_a_program_that_cannot_be_started(with_client: MakeClient) -> None:
    """It is told by its path."""
    natrig = with_client(program="nothing")
    status, one = run_json(natrig, natrig.write(ECHO))
    assert status == 3
    assert "udp-echo/nothing" in one["error"]


# --- install -------------------------------------------------------------------


def test_install_is_the_programs_own(with_client: MakeClient) -> None:
    """It is told name, version and cache, has the terminal, and its status counts."""
    natrig = with_client(
        '[ $1 = install ] && echo "$NATRIG_INSTALL $NATRIG_CLIENT_VERSION in $NATRIG_CACHE"'
        " && exit 5",
        install=["udp-echo", "horn"],
    )
    ran = natrig.run("client", "install", "horn@1.2")
    assert ran.returncode == 5
    assert ran.stdout == f"horn 1.2 in {natrig.work}/.cache/natrig\n"
    ran = natrig.run("client", "install", "horns@1.2")
    assert ran.returncode == 2
    assert 'did you mean "horn"?' in ran.stderr
    make_client(natrig.work / "clients" / "bare")
    ran = natrig.run("client", "install", "bare@1")
    assert ran.returncode == 2
    assert "natrig client doctor bare says how to get it" in ran.stderr


# --- what programs are told --------------------------------------------------------

TELL = """
mkdir -p "${NATRIG_RUN:-$HOME}/told"
env | sed -n 's/^\\(NATRIG_[A-Z_]*\\)=/\\1=/p' >"${NATRIG_RUN:-$HOME}/told/$1.${NATRIG_HOST:-all}"
"""
OPTIONS = {"loud": ["no", "yes"], "log-level": ["low", "high"]}


def told(file: Path) -> dict[str, str]:
    """Read what a call was told."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_what_a_client_is_told(lab_client: MakeClient) -> None:
    """Each variable that there is stands in the contract, and the other way round."""
    natrig = lab_client(TELL, options=OPTIONS, install=["udp-echo"], version="1.5")
    text = ECHO.replace("udp-echo}", "{kind: udp-echo, options: {loud: yes}}, port: 5000}", 1)
    status, one = run_json(natrig, "--keep", "kept", natrig.write(text))
    assert status == 0, one
    natrig.run("client", "install", "udp-echo@2")
    here = natrig.work / "kept" / "scenario.files" / "told"
    start = told(here / "start.a")
    assert start["NATRIG_HOST"] == "a"
    assert start["NATRIG_PORT"] == "5000"
    assert start["NATRIG_CLIENT_VERSION"] == "1.5"
    assert start["NATRIG_STARTED"] == "a"
    assert start["NATRIG_OPTION_LOUD"] == "yes"
    assert start["NATRIG_OPTION_LOG_LEVEL"] == "low"
    assert start["NATRIG_DIR"] == f"{start['NATRIG_RUN']}/a"
    assert told(here / "start.c")["NATRIG_OPTION_LOUD"] == "no"
    assert told(here / "start.c")["NATRIG_STARTED"] == "a c"
    assert told(here / "serve.control")["NATRIG_SERVER"] == "control"
    assert told(here / "ping.a")["NATRIG_PEER"] == "c"
    everything = [told(one) for one in here.iterdir()]
    everything += [told(one) for one in (natrig.work / "told").iterdir()]
    names = {re.sub(r"_(ADDR|OPTION)_.*", r"_\1_", key) for one in everything for key in one}
    rows = DOCUMENTED.findall((SOURCE / "clients" / "README.md").read_text())
    documented = set(re.findall(r"NATRIG_[A-Z_]+", " ".join(rows)))
    assert names == documented


def test_options_are_checked(with_client: MakeClient) -> None:
    """Names and values are the manifest's; another client's are refused."""
    natrig = with_client(options=OPTIONS)
    make_client(natrig.work / "clients" / "other")
    for option, words in (
        ("lout: yes", 'unknown key "lout" in options of udp-echo'),
        ("loud: maybe", "expected one of no, yes"),
    ):
        text = ECHO.replace("udp-echo}", f"{{kind: udp-echo, options: {{{option}}}}}}}")
        ran = natrig.run("check-scenario", natrig.write(text))
        assert ran.returncode == 2
        assert words in ran.stderr
    good = ECHO.replace("udp-echo}", "{kind: udp-echo, options: {loud: yes}}}")
    ran = natrig.run("run", "--client", "other", natrig.write(good))
    assert ran.returncode == 3, ran.stdout
    assert "a has options that are udp-echo's" in " ".join(ran.stdout.split())


# --- files -----------------------------------------------------------------------


def test_keep_keeps_logs_and_state(lab_client: MakeClient) -> None:
    """And a second run does not find what the first one has left."""
    natrig = lab_client(
        '[ -n "$NATRIG_DIR" ] && echo "$1 on $NATRIG_HOST" >&2\n'
        '[ $1 = start ] && test -e "$NATRIG_DIR/old" && echo old >&2 && exit 1\n'
        '[ $1 = start ] && touch "$NATRIG_DIR/old"\n'
    )
    for _ in range(2):
        ran = natrig.run("run", "--keep", "kept", natrig.write(ECHO))
        assert ran.returncode == 0, ran.stdout
    kept = natrig.work / "kept" / "scenario.files"
    assert {one.name for one in kept.iterdir()} == {
        "a", "c", "control", "a.log", "c.log", "control.log", "prepare.log",
        "a.status.json", "c.status.json",
    }  # fmt: skip
    assert (kept / "a.log").read_text().splitlines() == [
        "start on a", "ping on a", "ping on a", "status on a",
    ]  # fmt: skip
    assert json.loads((kept / "a.status.json").read_text()) == {"done": True}


def test_status_is_asked_only_for_who_keeps_it(lab_client: MakeClient) -> None:
    """Nobody waits for an answer that nobody reads."""
    natrig = lab_client('[ $1 = status ] && touch "$HOME/asked"')
    text = ECHO.split("  - {ping: a")[0] + "  - {stop: c}\n"
    assert natrig.run("run", natrig.write(text)).returncode == 0
    assert not (natrig.work / "asked").exists()
    assert natrig.run("run", "--keep", "kept", natrig.write(text)).returncode == 0
    assert (natrig.work / "asked").exists()
    assert not (natrig.work / "kept" / "scenario.files" / "c.status.json").exists()


def test_a_restart_finds_its_folder(lab_client: MakeClient) -> None:
    """What a client keeps it has after a restart, and stop was called before."""
    natrig = lab_client(
        '[ $1 = start ] && echo x >>"$NATRIG_DIR/starts"\n'
        '[ $1 = stop ] && cp "$NATRIG_DIR/starts" "$NATRIG_DIR/stopped"\n'
    )
    text = ECHO.replace("order:", "  - {restart: a}\n  - {ping: c -> a, expect: direct}\norder:")
    ran = natrig.run("run", "--keep", "kept", natrig.write(text))
    assert ran.returncode == 0, ran.stdout
    kept = natrig.work / "kept" / "scenario.files" / "a"
    assert (kept / "starts").read_text() == "x\nx\n"
    assert (kept / "stopped").read_text() == "x\n"

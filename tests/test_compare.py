# SPDX-License-Identifier: BSD-3-Clause
"""natrig compare: several clients or results side by side."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from helpers import DEAD, DIRECT, SOURCE, USERS, Natrig, need, wait_until
from natrig_orchestra.comparison import Column
from natrig_orchestra.comparison import compare as compare_columns
from natrig_orchestra.ladder import Journey, Node, Recording, Sighting, climb, draw
from natrig_orchestra.program import Verdict
from natrig_orchestra.pytest_plugin import find_natrig

# A reaches C in one of three ways, by what stands in for NAT: over the relay,
# directly after a handshake that is sent again, or not at all.
WAY = """\
natrig: 1
title: a reaches c, by whichever way there is
routers:
  home-a: {nat: NAT}
  edge-c: {nat: symmetric}
hosts:
  a: {router: home-a}
  c: {router: edge-c}
steps:
  - {start: all}
  - {netcheck: c}
  - {ping: a -> c, for: 8s, expect: reachable}
  - {ping: c -> a, for: 8s, expect: reachable}
order:
  - some a -> c leaves a
"""


# What only reads results is the same for every user.
one_user = pytest.mark.parametrize("natrig", USERS[-1:], indirect=True)


@pytest.fixture(scope="session")
def launcher(stage: Path) -> Path:
    """Put natrig-compare and its package beside the natrig that tests run."""
    shutil.copytree(SOURCE / "orchestra", stage / "orchestra", dirs_exist_ok=True)
    text = (SOURCE / "orchestra" / "natrig-compare.in").read_text(encoding="utf-8")
    path = stage / "natrig-compare"
    text = text.replace("@PYTHON@", sys.executable)
    path.write_text(text.replace("@packages@", str(stage / "orchestra")), encoding="utf-8")
    path.chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX", stage / "orchestra"], check=True)
    return path


@pytest.fixture
def compare(lab: Natrig, launcher: Path) -> Natrig:
    """Give a natrig that can run labs and finds natrig-compare."""
    return lab


@pytest.fixture(scope="session")
def saved_before() -> dict[str, Mapping[str, str]]:
    """Keep each user's results for all tests."""
    return {}


@pytest.fixture
def saved(compare: Natrig, saved_before: dict[str, Mapping[str, str]]) -> Mapping[str, str]:
    """Give results with their recordings of one scenario in three worlds."""
    if compare.user not in saved_before:
        saved_before[compare.user] = save(compare)
    return saved_before[compare.user]


def save(compare: Natrig) -> Mapping[str, str]:
    """Run the scenario in three worlds, and write down what came of it."""
    scenarios = []
    for name, nat in (("relay", "easy"), ("direct", "full-cone"), ("none", "udp-blocked")):
        folder = compare.work / name
        folder.mkdir()
        folder.chmod(0o777)
        text = WAY.replace("NAT", nat)
        if name == "none":
            text = text.replace("- {start: all}", "- {block: c -> relay}\n  - {start: all}")
        scenarios.append(compare.write(text, f"{name}/way.yaml"))
    ran = compare.run("run", "--json", "--keep", compare.work / "kept", *scenarios)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    one_by_one = json.loads(ran.stdout)["scenarios"]
    assert [one["verdict"] for one in one_by_one] == ["holds", "holds", "falls-short"]
    results = {}
    for path, one in zip(scenarios, one_by_one):
        name = path.parent.name
        file = compare.write(json.dumps({"scenarios": [one]}), f"{name}/results.json")
        results[name] = f"{name}={file}"
    return results


def path_of(result: str) -> Path:
    """Give the file of a result that is NAME=FILE."""
    return Path(result.partition("=")[2])


def as_json(compare: Natrig, *arguments: object, status: int) -> dict[str, Any]:
    """Compare, and read the JSON on standard output."""
    ran = compare.run("compare", "--json", "-", *arguments)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def cells_of(compared: Mapping[str, Any], client: str) -> dict[str, dict[str, Any]]:
    """Give the cells of one client by their rows' words."""
    return {
        row["text"]: cell
        for scenario in compared["scenarios"]
        for row in scenario["rows"]
        for cell in row["cells"]
        if cell["client"] == client
    }


def assert_plain(text: str) -> None:
    """Assert that what is piped has 80 columns and no colours."""
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80, max(text.splitlines(), key=len)


def test_the_built_natrig_finds_compare(pytestconfig: pytest.Config) -> None:
    """The natrig of a build tree, or an installed one, has the verb."""
    natrig = find_natrig(pytestconfig)
    ran = subprocess.run(
        [natrig, "compare", "--help"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: natrig compare")
    assert_plain(ran.stdout)


def test_without_the_program_the_verb_says_so(natrig: Natrig, tmp_path: Path) -> None:
    """A natrig without natrig-compare says what is missing, not "unknown verb"."""
    alone = natrig.work / "natrig"
    shutil.copy2(natrig.program, alone)
    ran = natrig.run_command([*natrig.prefix, str(alone), "compare", "--help"])
    if ran.returncode == 0:
        pytest.skip("natrig-compare is installed, so it cannot be missing")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "natrig-compare" in ran.stderr


def test_one_client_twice_is_the_same(compare: Natrig) -> None:
    """The model beside itself: two columns, told apart, and no difference."""
    scenario = compare.write(DIRECT)
    ran = compare.run("compare", "--client", "model", "--client", "model", "-v", scenario)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert_plain(ran.stdout)
    assert re.search(r"^ +model +model #2$", ran.stdout, re.MULTILINE)
    assert re.search(r"ping a -> b: direct +ok direct 0\.\d\d s +ok direct 0", ran.stdout)
    assert ran.stdout.endswith("1 scenario, 2 clients: 1 the same\n")


def test_json_has_outcome_path_and_time(compare: Natrig) -> None:
    """Each cell has what natrig said of its step."""
    compared = as_json(compare, "-c", "model", "-c", "model", compare.write(DEAD), status=0)
    assert [one["name"] for one in compared["clients"]] == ["model", "model #2"]
    assert compared["fails"] is False
    cells = cells_of(compared, "model #2")
    ping = cells["ping a -> c"]
    assert (ping["outcome"], ping["path"], ping["first_reply_s"]) == ("holds", "none", None)
    assert "died at" in ping["why"]
    assert ping["frames"]
    assert cells["start all"]["path"] is None
    assert cells["never a -> c reaches c"]["outcome"] == "holds"


@one_user
def test_a_difference_of_path_is_told(compare: Natrig, saved: Mapping[str, str]) -> None:
    """Both hold, but by another way: exit 1, and only the later one differs."""
    files = ("--from", saved["relay"], "--from", f"other={path_of(saved['direct'])}")
    compared = as_json(compare, *files, status=1)
    assert [one["name"] for one in compared["clients"]] == ["relay", "other"]
    first, other = cells_of(compared, "relay"), cells_of(compared, "other")
    assert not any(cell["differs"] for cell in first.values())
    assert {cell["outcome"] for cell in [*first.values(), *other.values()]} == {"holds"}
    ping = other["ping c -> a"]
    assert (first["ping c -> a"]["path"], ping["path"]) == ("relay", "direct")
    assert ping["differs"] == ["path direct, where relay has relay"]
    assert compared["scenarios"][0]["state"] == "differs"
    ran = compare.run("compare", *files)
    assert ran.returncode == 1
    assert_plain(ran.stdout)
    assert re.search(r"^  ! ping c -> a: reachable +ok relay .* ok direct", ran.stdout, re.M)
    assert "other: path direct, where relay has relay" in ran.stdout
    assert "netcheck c" not in ran.stdout


@one_user
def test_a_difference_of_outcome_is_told(compare: Natrig, saved: Mapping[str, str]) -> None:
    """One holds and one does not; a step that only one has is not compared."""
    compared = as_json(compare, "--from", saved["direct"], "--from", saved["none"], status=1)
    none = cells_of(compared, "none")
    assert none["ping a -> c"]["outcome"] == "falls-short"
    assert "falls short, where direct holds" in none["ping a -> c"]["differs"]
    block = cells_of(compared, "direct")["block c -> relay"]
    assert (block["outcome"], block["differs"]) == ("could-not-run", [])
    assert none["block c -> relay"]["differs"] == []
    turned = as_json(compare, "--from", saved["none"], "--from", saved["direct"], status=1)
    assert "holds, where none falls short" in cells_of(turned, "direct")["ping a -> c"]["differs"]


@one_user
def test_falling_short_alike_is_no_difference(compare: Natrig, saved: Mapping[str, str]) -> None:
    """Both fall short: no difference, and exit 1 all the same."""
    compared = as_json(compare, "--from", saved["none"], "--from", saved["none"], status=1)
    assert compared["scenarios"][0]["state"] == "falls-short"
    assert not cells_of(compared, "none #2")["ping a -> c"]["differs"]


@one_user
def test_slack_is_for_times(compare: Natrig, saved: Mapping[str, str]) -> None:
    """First replies further apart than the slack differ."""
    late = json.loads(path_of(saved["direct"]).read_text())
    for step in late["scenarios"][0]["steps"]:
        if step["first_reply_ms"] is not None:
            step["first_reply_ms"] += 6000
    path = compare.write(json.dumps(late), "late.json")
    files = ("--from", saved["direct"], "--from", f"late={path}")
    cell = cells_of(as_json(compare, *files, status=1), "late")["ping c -> a"]
    assert re.fullmatch(
        r"first reply after 6\.\d\d s, where direct had it after 0\.\d\d s", cell["differs"][0]
    )
    as_json(compare, *files, "--slack", "6.5", status=0)
    as_json(compare, *files, "--slack", "5.8", status=1)


KNOWN = """\
- scenario: way.yaml
  step: ping * -> *
  client: direct
  reason: full-cone lets the reply in
- scenario: nowhere
  step: "*"
  client: "*"
  reason: never seen
"""


@one_user
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_known_differences_do_not_fail(
    compare: Natrig, saved: Mapping[str, str], form: str
) -> None:
    """What is on the list is shown with its reason; what is not used is told."""
    if form == "yaml":
        pytest.importorskip("yaml", reason="python3-yaml is not installed")
        text = KNOWN
    else:
        keys = ("scenario", "step", "client", "reason")
        entries = [
            ("way", "ping * -> *: reachable", "dir*", "full-cone lets the reply in"),
            ("nowhere", "*", "*", "never seen"),
        ]
        text = json.dumps([dict(zip(keys, entry)) for entry in entries])
    known = ("--known", compare.write(text, "known"))
    files = ("--from", saved["relay"], "--from", saved["direct"])
    compared = as_json(compare, *files, *known, status=0)
    cell = cells_of(compared, "direct")["ping c -> a"]
    assert cell["differs"]
    assert cell["known"] == "full-cone lets the reply in"
    assert compared["scenarios"][0]["state"] == "known"
    assert [one["scenario"] for one in compared["unused_known"]] == ["nowhere"]
    ran = compare.run("compare", *files, *known, "--junit", "junit.xml")
    assert ran.returncode == 0
    assert "known: full-cone lets the reply in" in ran.stdout
    assert "known, but not seen: nowhere" in ran.stdout
    assert_plain(ran.stdout)
    root = ET.parse(compare.work / "junit.xml").getroot()
    assert not list(root.iter("failure"))
    assert any("full-cone lets" in (out.text or "") for out in root.iter("system-out"))


@one_user
def test_known_is_of_its_client_only(compare: Natrig, saved: Mapping[str, str]) -> None:
    """The same difference of another client fails as before."""
    entry = {"scenario": "way", "step": "*", "client": "another", "reason": "none"}
    known = compare.write(json.dumps([entry]), "known")
    files = ("--from", saved["relay"], "--from", saved["direct"])
    as_json(compare, *files, "--known", known, status=1)


@one_user
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "this must be a list"),
        ('["x"]', "entry 1: it must have the keys"),
        ('[{"scenario": "x"}]', "entry 1: step is missing"),
        ('[{"scenaro": "x"}]', "unknown key scenaro"),
        (
            '[{"scenario": "x", "step": "x", "client": "x", "reason": "x", "line": "7"}]',
            "line must be a number",
        ),
    ],
)
def test_bad_lists_of_known_are_refused(compare: Natrig, text: str, says: str) -> None:
    """A list that cannot be read is exit 2 before anything runs."""
    known = compare.write(text, "known")
    ran = compare.run(
        "compare", "-c", "model", "-c", "model", "--known", known, compare.write(DEAD)
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr


def test_a_missing_client_is_told(compare: Natrig) -> None:
    """A client that natrig does not have is told with natrig's reason."""
    scenario = compare.write(DIRECT)
    pair = ("-c", "model", "-c", "no-such-client", scenario)
    compared = as_json(compare, *pair, status=0)
    assert [one["ran"] for one in compared["clients"]] == [True, False]
    assert "no-such-client" in compared["clients"][1]["could_not_run"]
    assert {cell["outcome"] for cell in cells_of(compared, "no-such-client").values()} == {
        "could-not-run"
    }
    ran = compare.run("compare", *pair, "--junit", "junit.xml")
    assert ran.returncode == 0
    assert_plain(ran.stdout)
    assert "could not run:" in ran.stdout
    assert "nothing was compared: only model could run" in ran.stdout
    suites = ET.parse(compare.work / "junit.xml").getroot().findall("testsuite")
    assert [one.get("skipped") for one in suites] == ["0", suites[0].get("tests")]
    as_json(compare, *pair, "--all-must-run", status=3)
    as_json(compare, "-c", "no-such-client", "-c", "no-such-client", scenario, status=3)


@one_user
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name two clients"),
        (("--client", "model", "x.yaml"), "Name two clients"),
        (("-c", "model", "-c", "model"), "which scenario"),
        (("-c", "model", "-c", "model", "--jsno"), "--jsno"),
        (("-c", "model", "-c", "model", "-j", "0", "x"), "--jobs wants"),
        (("-c", "model", "-c", "model", "--slack", "-1", "x"), "--slack wants"),
        (("-c", "model", "-c", "model", "nowhere.yaml"), "nowhere.yaml"),
        (("--from", "nowhere.json", "--from", "nowhere.json"), "nowhere.json: No such file"),
        (("--from", "x", "--from", "y", "z.yaml"), "no client to run z.yaml with"),
        (("--natrig", "/nowhere", "-c", "model", "-c", "model", "x"), "/nowhere"),
    ],
)
def test_usage_errors(compare: Natrig, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be understood is exit 2 and a word on what would be."""
    ran = compare.run("compare", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


@one_user
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"scenarios": []}', '{"scenarios": [1]}', "\x00"]
)
def test_what_is_no_result_is_refused(compare: Natrig, text: str) -> None:
    """A file that natrig run --json did not write is called so."""
    path = compare.write(text, "odd.json")
    ran = compare.run("compare", "--from", path, "--from", path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "odd.json" in ran.stderr
    assert "Traceback" not in ran.stderr


@one_user
def test_results_are_called_by_their_client(compare: Natrig, saved: Mapping[str, str]) -> None:
    """Without a name it is the client's, with the file's where that is the same."""
    results = json.loads(path_of(saved["relay"]).read_text())
    files: list[str] = []
    for number, client in enumerate(("model", "model", "tailscale@1", None)):
        results["scenarios"][0]["client"] = client
        name = f"night-{number}.json"
        files += ["--from", str(compare.write(json.dumps(results), name))]
    compared = as_json(compare, *files, *files[:2], status=0)
    assert [one["name"] for one in compared["clients"]] == [
        "model (night-0)",
        "model (night-1)",
        "tailscale@1",
        "night-3",
        "model (night-0) #2",
    ]


def test_each_client_has_its_natrig(compare: Natrig) -> None:
    """--natrig is for the clients named after it, and is named in the report."""
    other = compare.work / "natrig-of-old"
    shutil.copy2(compare.program, other)
    compared = as_json(
        compare, "-c", "model", "--natrig", other, "-c", "model", compare.write(DIRECT), status=0
    )
    origins = [one["origin"] for one in compared["clients"]]
    assert origins == ["natrig run --client model", f"{other} run --client model"]


def test_kept_results_can_be_compared_again(compare: Natrig) -> None:
    """What --keep keeps is what --from reads, with its recordings."""
    scenario = compare.write(DIRECT)
    compare.run("compare", "-c", "model", "-c", "model", "--keep", "kept", scenario)
    kept = compare.work / "kept"
    moved = compare.work / "moved"
    kept.rename(moved)
    assert {"1-model/results.json", "2-model/scenario.pcapng"} <= {
        str(one.relative_to(moved)) for one in moved.rglob("*")
    }
    files = [f"{name}=moved/{name}-model/results.json" for name in "12"]
    ran = compare.run("compare", "--from", files[0], "--from", files[1], "--html", "page.html")
    if "python3-jinja2" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(Page(compare.work / "page.html").ladders) >= 2


def test_a_terminal_has_progress_and_colours(compare: Natrig) -> None:
    """On a terminal one sees how far natrig is; reasons are told without it."""
    need("script")
    clients = "-c model -c no-such-client"
    command = shlex.join(compare.command("compare", *clients.split(), compare.write(DIRECT)))
    terminal = compare.work / "terminal"
    ran = compare.run_command(
        ["env", "TERM=xterm", "script", "--quiet", "--return", "-c", command, str(terminal)]
    )
    shown = terminal.read_bytes().decode()  # with its carriage returns
    assert ran.returncode == 0, shown
    assert "natrig compare: 1 of 2: model" in shown
    assert re.search(r"\r\x1b\[K0 of 1 done, 1 running", shown)
    assert "\x1b[33mnot compared" in shown
    (reason,) = re.findall(r"could not run: (.*?)\x1b", shown)
    assert "no-such-client" in reason
    assert "done" not in reason


# --- JUnit -------------------------------------------------------------------


@one_user
def test_junit_has_a_case_a_cell(compare: Natrig, saved: Mapping[str, str]) -> None:
    """A suite a client, a case a cell; a difference is a failure."""
    files = ("--from", saved["relay"], "--from", saved["direct"], "--from", saved["none"])
    compared = as_json(compare, *files, "--junit", "junit.xml", status=1)
    root = ET.parse(compare.work / "junit.xml").getroot()
    suites = root.findall("testsuite")
    assert [one.get("name") for one in suites] == ["relay", "direct", "none"]
    for suite in suites:
        cells = cells_of(compared, str(suite.get("name")))
        cases = suite.findall("testcase")
        assert len(cases) == len(cells) == int(suite.get("tests") or 0)
        assert len({case.get("name") for case in cases}) == len(cases)
        failures = suite.findall("testcase/failure")
        assert len(failures) == int(suite.get("failures") or -1)
        assert len(failures) == sum(
            bool(cell["differs"]) or cell["outcome"] == "falls-short" for cell in cells.values()
        )
    assert int(suites[0].get("failures") or 0) == 0
    (path,) = suites[1].findall("testcase[@name='ping c -> a: reachable (line 13)']/failure")
    assert path.get("type") == "difference"
    assert path.get("message") == "path direct, where relay has relay"


# --- the page ----------------------------------------------------------------

VOID = {"meta", "input", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """The page, parsed: its structure, its cells, and its ladders."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.outside: list[str] = []
        self.panels: dict[str, str] = {}
        self.styles: list[str] = []
        self.open: list[tuple[str, Mapping[str, str | None]]] = []
        self.feed(self.text)
        self.close()
        assert not self.open, self.open
        self.ladders = [ET.fromstring(one) for one in re.findall(r"<svg.*?</svg>", self.text, re.S)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is and refers to."""
        given = dict(attrs)
        if tag not in VOID:
            self.open.append((tag, given))
        if given.get("id"):
            assert given["id"] not in self.ids, given["id"]
            self.ids.add(str(given["id"]))
        for name in ("href", "src", "srcset", "data", "action", "poster", "xlink:href"):
            value = given.get(name)
            if value is None:
                continue
            (self.links if value.startswith("#") else self.outside).append(value)
        if tag == "section" and given.get("id"):
            self.panels[str(given["id"])] = ""
        assert tag not in ("link", "iframe", "object", "img", "base")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element of SVG that has nothing in it."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that what ends is what was open."""
        assert self.open, f"</{tag}> ends nothing"
        opened, _ = self.open.pop()
        assert opened == tag, f"</{tag}> ends <{opened}>"

    def handle_data(self, data: str) -> None:
        """Note the words of a panel, and the style sheets."""
        if self.open and self.open[-1][0] == "style":
            self.styles.append(data)
        for tag, given in self.open:
            if tag == "section" and given.get("id"):
                self.panels[str(given["id"])] += data


@pytest.fixture
def page(compare: Natrig, saved: Mapping[str, str]) -> Page:
    """Give the page of three results, one of which falls short."""
    pytest.importorskip("jinja2", reason="python3-jinja2 is not installed")
    names = ("relay", "direct", "none")
    files = [part for name in names for part in ("--from", saved[name])]
    ran = compare.run("compare", *files, "--html", "page.html")
    assert ran.returncode == 1, ran.stderr
    return Page(compare.work / "page.html")


@one_user
def test_the_page_needs_nothing_else(page: Page) -> None:
    """Nothing is fetched: no address, no import, no font."""
    assert page.outside == []
    assert "http:" not in page.text
    assert "https:" not in page.text
    (style,) = page.styles
    assert not re.search(r"url\(|@import|@font-face", style)


@one_user
def test_each_cell_has_its_panel(page: Page, compare: Natrig, saved: Mapping[str, str]) -> None:
    """Each cell of the matrix leads to what is behind it."""
    names = ("relay", "direct", "none")
    files = [part for name in names for part in ("--from", saved[name])]
    compared = as_json(compare, *files, status=1)
    rows = compared["scenarios"][0]["rows"]
    wanted = {f"#s1r{row}c{client}" for row in range(1, len(rows) + 1) for client in (1, 2, 3)}
    assert set(page.links) == wanted
    assert {f"#{one}" for one in page.panels} == wanted
    for number, row in enumerate(rows, 1):
        for client, cell in enumerate(row["cells"], 1):
            panel = " ".join(page.panels[f"s1r{number}c{client}"].split())
            if cell["why"]:
                assert " ".join(cell["why"].split()) in panel
            for line in cell["differs"]:
                assert line in panel


@one_user
def test_words_of_others_are_only_words(compare: Natrig, saved: Mapping[str, str]) -> None:
    """A title, a reason and a name with markup in them do not become any."""
    pytest.importorskip("jinja2", reason="python3-jinja2 is not installed")
    odd = "</style></script><script>odd()</script>&amp;"
    results = json.loads(path_of(saved["none"]).read_text())
    results["scenarios"][0]["title"] = odd
    for step in results["scenarios"][0]["steps"]:
        step["why"] = step["got"] = odd
    file = compare.write(json.dumps(results), "odd.json")
    clients = ("--from", f"{odd}={file}", "--from", saved["direct"])
    ran = compare.run("compare", *clients, "--html", "page.html", "--junit", "junit.xml")
    assert ran.returncode == 1, ran.stderr
    page = Page(compare.work / "page.html")
    assert page.text.count("<script>") == page.text.count("</script>") == 1
    assert odd in page.panels["s1r1c1"]
    suite = ET.parse(compare.work / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("name") == odd


def rungs(ladder: ET.Element, kind: str) -> list[ET.Element]:
    """Give the rungs of a ladder that are of a class."""
    return [one for one in ladder.iter("g") if kind in str(one.get("class")).split()]


@one_user
def test_ladders_show_the_dead_with_their_reason(page: Page) -> None:
    """A packet that died has a cross, and its reason in words."""
    (ladder,) = (
        one for one in page.ladders if one.findtext("title") == "none: ping a -> c: reachable"
    )
    heads = [one.findtext("text") for one in ladder.iter("g") if "node" in str(one.get("class"))]
    assert heads[:2] == ["a", "home-a"]
    assert heads[-1] == "c"
    dead = rungs(ladder, "dead")
    assert dead
    for one in dead:
        words = " ".join("".join(text.itertext()) for text in one.iter("text"))
        sentence = one.findtext("title") or ""
        reason = re.search(r": (.+) \(frames? ", sentence)
        assert reason, sentence
        assert reason[1].split()[0] in words
        assert any("10 10m0-10l-10 10" in str(path.get("d")) for path in one.iter("path"))
    assert rungs(ladder, "relay")
    assert [one for one in ladder.iter("rect") if one.get("class") == "evidence"]


@one_user
def test_ladders_are_cut_by_steps(page: Page) -> None:
    """The start has the STUN, the ping has the payload, and not the reverse."""
    by_title = {str(one.findtext("title")): one for one in page.ladders}
    start, ping = by_title["direct: start all"], by_title["direct: ping a -> c: reachable"]
    assert rungs(start, "k-stun")
    assert not rungs(start, "k-wireguard")
    assert rungs(ping, "k-wireguard")
    for ladder in page.ladders:
        assert float(str(ladder.get("height"))) > 80


@one_user
def test_the_page_says_which_package_is_missing(compare: Natrig) -> None:
    """Without Jinja2 nothing runs, and the package is named."""
    hidden = compare.work / "hidden"
    hidden.mkdir()
    (hidden / "jinja2.py").write_text("raise ImportError('not here')\n")
    hidden.chmod(0o755)
    command = compare.command("compare", "-c", "model", "-c", "model", "--html", "page.html")
    ran = compare.run_command(
        ["env", f"PYTHONPATH={hidden}", *command, str(compare.write(DEAD))], timeout_s=60
    )
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "apt-get install python3-jinja2" in ran.stderr


# --- Ctrl-C ------------------------------------------------------------------


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in path.read_text().split()]


def test_an_interrupt_ends_with_what_there_is(compare: Natrig) -> None:
    """The first scenario is told, the rest is not, and nothing is left."""
    first = compare.write(DIRECT, "1.yaml")
    long = compare.write(DEAD.replace("12s", "200s"), "2.yaml")
    command = ("compare", "--json", "-", "-j", 1, "--real-time", "-c", "model", "-c", "model")
    started = compare.start(*command, "--keep", "kept", first, long)
    try:
        recording = compare.work / "kept" / "1-model" / "2.pcapng"
        wait_until(
            lambda: recording.exists() or started.poll() is not None,
            "the recording of the long scenario",
            60,
        )
        natrig = children_of(started.pid)
        assert natrig
        started.send_signal(signal.SIGINT)
        output, errors = started.communicate(timeout=30)
    finally:
        started.kill()
    assert started.returncode == 130, errors
    assert "Traceback" not in errors
    compared = json.loads(output)
    one, two = compared["scenarios"]
    assert one["rows"][0]["cells"][0]["outcome"] == "holds"
    assert two["rows"][-1]["cells"][0]["outcome"] == "could-not-run"
    assert [cell["outcome"] for row in one["rows"] for cell in row["cells"][1:]] == [
        "could-not-run"
    ] * len(one["rows"])
    assert not [pid for pid in natrig if Path(f"/proc/{pid}").exists()]


# --- which is which ----------------------------------------------------------


def test_scenarios_of_one_name_are_told_apart() -> None:
    """The same file is found by the end of its path, the longest first."""

    def column(*files: str) -> Column:
        return Column("x", "", [Verdict(file, file[:4], "holds") for file in files])

    left = column("seed/01.yaml", "field/02.yaml")
    right = column("/ci/field/01.yaml", "/ci/field/02.yaml", "/ci/seed/01.yaml", "02.yaml")
    found = compare_columns([left, right], []).scenarios
    assert [[one and one.file for one in scenario.verdicts] for scenario in found] == [
        ["seed/01.yaml", "/ci/seed/01.yaml"],
        ["field/02.yaml", "/ci/field/02.yaml"],
        [None, "/ci/field/01.yaml"],
        [None, "02.yaml"],
    ]
    (found,) = compare_columns([column("seed/01.yaml"), column("seed.yaml")], []).scenarios[:1]
    assert found.verdicts[1] is None
    moved = [Column("x", "", [Verdict(file, "same", "holds")]) for file in ("a/x", "b/x")]
    assert len(compare_columns(moved, []).scenarios) == 1
    other = [Column("x", "", [Verdict(file, file, "holds")]) for file in ("a/x", "b/x")]
    assert len(compare_columns(other, []).scenarios) == 2


# --- ladders -----------------------------------------------------------------


def journeys(count: int, kinds: int) -> Iterator[Journey]:
    """Make journeys of a to b, of so many kinds in turn."""
    for number in range(count):
        yield Journey(
            kind=f"kind-{number % kinds}",
            sender="a",
            meant_for="b",
            over_relay=False,
            arrived=False,
            died_at="b",
            on_internet=False,
            first_s=number / 1000,
            reason="nobody is at home <&>",
            sentence=f"sentence {number}",
            sightings=(
                Sighting(2 * number + 1, "a", True, "10.0.0.1:1", "10.0.0.2:2"),
                Sighting(2 * number + 2, "b", False, "10.0.0.1:1", "10.0.0.2:2"),
            ),
        )


def test_repeats_are_told_once() -> None:
    """Thousands of packets of a few kinds are a few rungs with their number."""
    ladder = climb(list(journeys(5000, 3)))
    assert [rung.count for rung in ladder.rungs] == [1667, 1667, 1666]
    assert ladder.rungs[0].last_s == pytest.approx(4.998)
    assert not ladder.left_out


def test_few_packets_are_all_shown() -> None:
    """Where there is room, only what follows its like is drawn together."""
    assert [rung.count for rung in climb(list(journeys(12, 3))).rungs] == [1] * 12
    assert [rung.count for rung in climb(list(journeys(12, 1))).rungs] == [12]


def test_too_many_are_counted_and_evidence_is_kept() -> None:
    """What is left out is told, and never what proves something."""
    all_of_them = list(journeys(3000, 500))
    ladder = climb(all_of_them, evidence=(5998, 5), limit=60)
    assert len(ladder.rungs) == 60
    assert [rung.journey.sentence for rung in ladder.rungs if rung.evidence] == [
        "sentence 2",
        "sentence 2998",
    ]
    drawn = sum(rung.count for rung in ladder.rungs)
    assert drawn + sum(ladder.left_out.values()) == 3000
    assert ladder.left_out_text.startswith(f"{3000 - drawn} more packets are left out here: ")


def test_wide_labs_are_drawn() -> None:
    """A hundred homes, names of any length and odd letters are still SVG."""
    nodes = {}
    for number in range(100):
        router, host = f"router-{number}-{'x' * 40}", f"a{number}\x07<"
        nodes[router] = Node(router, "router", "", "25.0.0.1")
        nodes[host] = Node(host, "host", router, "10.0.0.1")
    names = list(nodes)
    list_of_them = [
        Journey(
            "stun", names[at], names[-at - 1], at % 2 == 0, True, "", False, at / 7, "", "x",
            (Sighting(at + 1, names[at], True, "1.2.3.4:5", "1.2.3.4:6"),
             Sighting(at + 2, names[-at - 1], False, "1.2.3.4:5", "1.2.3.4:6")),
        )
        for at in range(100)
    ]  # fmt: skip
    recording = Recording(nodes, list_of_them)
    svg = ET.fromstring(draw(recording, climb(list_of_them), "wide & <odd>"))
    lanes = [one for one in svg.iter("g") if "node" in str(one.get("class")).split()]
    assert len(lanes) >= 120
    assert svg.findtext("title") == "wide & <odd>"

# SPDX-License-Identifier: BSD-3-Clause
"""Certification of every NAT that can be asked for, and by somebody else's tool.

check_certify_all.c certifies each by packets; here scenarios ask for them, and
coturn's turnutils_natdiscovery, which shares no line with natrig, is asked
what it finds from behind each:

    a -- home (the NAT) --+-- natrig's STUN servers
"""

from __future__ import annotations

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpers import FOLDERS, USERS, Natrig, need

MAPPINGS = ("eim", "adm", "apdm")
FILTERINGS = {
    "eif": "Endpoint Independent",
    "adf": "Address Dependent",
    "apdf": "Address and Port Dependent",
}
PORTS = ("preserve", "random", "sequential", "block", "preserve-only")

# Where the second destination of a port is refused there is no second mapping
# to tell a dependence by; natrig's own probe says so, the tool gives up.
TOLD_APART = [
    (mapping, filtering, ports)
    for mapping, filtering, ports in itertools.product(MAPPINGS, FILTERINGS, PORTS)
    if mapping == "eim" or ports != "preserve-only"
]

# The tool waits for silence in real time; so many wait at once.
AT_ONCE = 16
# Both users' labs are alike: one is enough to compare.
one_user = pytest.mark.parametrize("natrig", [USERS[-1]], indirect=True)


def scenario(nats: dict[str, str]) -> str:
    """Write a scenario with a router of each NAT and a host behind each."""
    return "\n".join(
        [
            "natrig: 1",
            "title: routers to be certified",
            "routers:",
            *(f"  {name}: {{nat: {nat}}}" for name, nat in nats.items()),
            "hosts:",
            *(f"  host-{name}: {{router: {name}}}" for name in nats),
            "steps:",
            "  - {wait: 1s}",
            "",
        ]
    )


def behaviour(mapping: str, filtering: str, ports: str) -> str:
    """Write a NAT as a scenario has it."""
    return f"{{mapping: {mapping}, filtering: {filtering}, ports: {ports}}}"


def seen_from(text: str) -> dict[str, str]:
    """Read the tool's packets: by whom it was seen as what, at first."""
    pattern = r"Response origin: : (\S+)\n(?:(?!Response).*\n)*?.*UDP reflexive addr: (\S+)"
    seen: dict[str, str] = {}
    for origin, address in re.findall(pattern, text):
        seen.setdefault(origin, address)
    return seen


def mapping_of(seen: dict[str, str]) -> str:
    """Tell the mapping by the tool's three addresses."""
    if seen["25.255.0.1:3478"] == seen["25.255.0.2:3478"]:
        return "eim"
    return "adm" if seen["25.255.0.1:3478"] == seen["25.255.0.1:3479"] else "apdm"


def discover(natrig: Natrig, nat: tuple[str, str, str]) -> tuple[str, str, str]:
    """Have coturn's tool look at NAT: its verdicts, and what its packets saw."""
    path = natrig.write(scenario({"home": behaviour(*nat)}), "-".join(nat) + ".yaml")
    tool = "turnutils_natdiscovery -m -f $NATRIG_STUN 2>&1"
    ran = natrig.run("exec", path, "host-home", "--", "sh", "-c", tool)
    told = {
        kind: words
        for words, kind in re.findall(r"NAT with (.*) (Mapping|Filtering)!", ran.stdout)
    }
    assert set(told) == {"Mapping", "Filtering"}, f"{nat}: {ran.stdout}{ran.stderr}"
    return (
        told["Mapping"],
        told["Filtering"],
        mapping_of(seen_from(ran.stdout.split("Filtering Behavior")[0])),
    )


def expect(nat: tuple[str, str, str]) -> tuple[str, str, str]:
    """Say what the tool must find.

    For its third question it takes the other address from the second answer,
    and so asks the first address's other port (4.6.1): it cannot tell ADM from
    APDM, and calls both the latter. Its packets can.
    """
    mapping, filtering, _ = nat
    verdict = "Endpoint Independent" if mapping == "eim" else "Address and Port Dependent"
    return verdict, FILTERINGS[filtering], mapping


@one_user
def test_coturns_tool_agrees_on_every_behaviour(lab: Natrig) -> None:
    """turnutils_natdiscovery finds what each of 39 NATs was asked to be."""
    need("turnutils_natdiscovery")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda nat: discover(lab, nat), TOLD_APART))
    wrong = [
        (nat, one, expect(nat)) for nat, one in zip(TOLD_APART, found) if one != expect(nat)
    ]
    assert len(found) == 3 * 3 * 5 - 2 * 3
    assert not wrong


# What else can be asked for, each with the line of its certificate that shows
# it: requirement, its name, state, what was measured.
KNOBS = {
    "hairpin-internal": (
        "{preset: full-cone, hairpin: internal}",
        ("RFC 4787 REQ-9", "broken-as-asked", "internal source"),
    ),
    "hairpin-external": (
        "{mapping: adm, filtering: eif, hairpin: external}",
        ("RFC 5382 REQ-8", "met", "external source"),
    ),
    "pool-paired": (
        "{preset: easy, pool: 4}",
        ("RFC 4787 REQ-2", "met", "paired"),
    ),
    "pool-arbitrary": (
        "{preset: easy, pool: 4, pooling: arbitrary}",
        ("RFC 4787 REQ-2", "broken-as-asked", "arbitrary"),
    ),
    "refresh-outbound": (
        "{preset: easy, refresh: outbound}",
        ("RFC 4787 REQ-6 a", "met", "no"),
    ),
    "lifetime-absolute": (
        "{preset: easy, lifetime: absolute}",
        ("RFC 4787 REQ-6", "broken-as-asked", "no"),
    ),
    "tcp-timeout": (
        "{preset: easy, tcp-timeout: 1h}",
        ("RFC 5382 REQ-5", "broken-as-asked", "3600 s"),
    ),
    "icmp-timeout": (
        "{preset: easy, icmp-timeout: 75s}",
        ("RFC 5508 REQ-2", "met", "75 s"),
    ),
    "wan-input-reject": (
        "{preset: easy, wan-input: reject}",
        ("wan-input", "met", "an ICMP error at once"),
    ),
    "wan-input-accept": (
        "{preset: easy, wan-input: accept}",
        ("RFC 5382 REQ-4", "broken-as-asked", "a reset at once"),
    ),
    "preserve-only": (
        "{mapping: eim, filtering: apdf, ports: preserve-only}",
        ("RFC 5508 REQ-8", "broken", "no"),
    ),
    "udp-blocked": ("udp-blocked", ("UDP", "broken-as-asked", "asked for no, measured no")),
}


def certificates(natrig: Natrig, nats: dict[str, str]) -> dict[str, Any]:
    """Run a scenario with --certify, and give each router's certificate."""
    ran = natrig.run("run", "--certify", "--json", natrig.write(scenario(nats)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (result,) = json.loads(ran.stdout)["scenarios"]
    return {one["router"]: one for one in result["certificate"]}


def test_every_knob_shows(lab: Natrig) -> None:
    """Each knob of the language is turned, certified, and seen in its line."""
    told = certificates(lab, {name: nat for name, (nat, _) in KNOBS.items()})
    for name, (_, (requirement, state, got)) in KNOBS.items():
        assert told[name]["lies"] == [], name
        lines = [line for line in told[name]["lines"] if line["requirement"] == requirement]
        assert (state, got) in [(line["state"], line["got"]) for line in lines], name


def test_all_three_documents_have_rows(lab: Natrig) -> None:
    """Each requirement that packets can show has a row, and few are not measured."""
    told = certificates(lab, {"home": "{mapping: eim, filtering: eif, hairpin: external}"})
    lines = told["home"]["lines"]
    names = {line["requirement"] for line in lines}
    assert names >= {f"RFC 4787 REQ-{number}" for number in range(1, 15)}
    assert names >= {f"RFC 5382 REQ-{number}" for number in range(1, 11)}
    assert names >= {f"RFC 5508 REQ-{number}" for number in (*range(1, 9), 10)}
    unmeasured = [line for line in lines if line["state"] == "not-measured"]
    assert [line["got"] for line in unmeasured] == ["nothing was refused"]


@one_user
def test_every_router_of_every_scenario_is_what_it_is_said_to_be(lab: Natrig) -> None:
    """No scenario of the repository believes in a router that measures otherwise."""
    folders = [lab.scenarios / name for name in (*FOLDERS, "cells")]
    ran = lab.run("run", "--certify", "--json", *folders, timeout_s=600)
    results = json.loads(ran.stdout)["scenarios"]
    assert len(results) > 150
    lies = {
        (one["file"], router["router"]): router["lies"]
        for one in results
        for router in one["certificate"]
        if router["lies"]
    }
    assert lies == {}
    assert {one["file"] for one in results if not one["certificate"]} == set()
    assert ran.returncode == 0, ran.stdout[-2000:]


@one_user
def test_what_forwarding_costs(lab: Natrig) -> None:
    """natrig bench nat: both routers' packets a second and added latency."""
    ran = lab.run("bench", "nat", "--json", "--runs", "3")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert set(told) == {"direct", "netfilter", "engine"}
    # Held to 200,000 packets a second; a machine may be busy.
    assert told["engine"]["router_packets_s"] > 100_000
    assert 0 < told["netfilter"]["router_us"] < told["engine"]["router_us"]
    assert told["engine"]["added_us"] < 50
    text = lab.run("bench", "nat", "--runs", "1").stdout
    assert "natrig's engine" in text
    assert max(map(len, text.splitlines())) <= 80

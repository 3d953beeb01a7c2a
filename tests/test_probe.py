# SPDX-License-Identifier: BSD-3-Clause
"""natrig probe, nat and lab: NATs, measured, listed and drawn.

What the probe says is held against an independent tool and an independent
server, both coturn's:

    a home -- its NAT --+-- natrig's STUN servers
                        +-- srv: turnserver, on two addresses
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpers import USERS, Natrig, need

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"

# NAT as a scenario writes it -> mapping, filtering, ports, hairpinning
NATS = {
    "easy": (EI, APD, "preserved", "not supported"),
    "full-cone": (EI, EI, "preserved", "not supported"),
    "address-restricted": (EI, AD, "preserved", "not supported"),
    "symmetric": (APD, APD, "random", "not supported"),
    "{mapping: eim, filtering: eif, hairpin: true}": (EI, EI, "preserved", "external source"),
    "{mapping: eim, filtering: apdf, hairpin: true}": (EI, APD, "preserved", "external source"),
}
IDS = ("easy", "full-cone", "address-restricted", "symmetric", "hairpin", "hairpin-apdf")
HOSTS = ("a", "b", "c", "d", "e", "f")

LAB = "\n".join(
    [
        "natrig: 1",
        "title: homes of every kind, and a public host",
        "routers:",
        *(f"  home-{host}: {{nat: {nat}}}" for host, nat in zip(HOSTS, NATS)),
        "  home-g: {nat: udp-blocked}",
        "  home-h: {nat: none}",
        "hosts:",
        *(f"  {host}: {{router: home-{host}}}" for host in (*HOSTS, "g", "h")),
        "  a2: {router: home-a}",
        "  b2: {router: home-b}",
        "  srv: {}",
        "steps:",
        "  - {wait: 1s}",
        "",
    ]
)

SHORT = """\
natrig: 1
title: mappings that do not live long
routers:
  home: {nat: {mapping: eim, filtering: apdf, udp-timeout: 12s, udp-stream-timeout: 47s}}
hosts:
  a: {router: home}
steps:
  - {wait: 1s}
"""

# Runs in srv. natrig (PID 1 here) holds the namespaces of all nodes open: that
# is how the homes are entered from a command that runs elsewhere.
BESIDE_TURNSERVER = """\
second=25.128.77.77
ip addr add $second/8 dev eth0
turnserver -n --no-cli --no-auth --no-tls --no-dtls -L $NATRIG_ADDR_SRV -L $second \\
    --log-file stdout --pidfile /dev/null --userdb turndb >turn.log 2>&1 &
turn=$!
until ss -uln | grep -q $second:3479; do kill -0 $turn; sleep 0.02; done
probes=
for fd in /proc/1/fd/*; do
    case $(readlink $fd) in net:*) ;; *) continue ;; esac
    ip=$(nsenter --net=$fd ip -4 -o addr show dev eth0 2>/dev/null |
        sed 's/.*inet \\([0-9.]*\\).*/\\1/')
    for host in A B C D E F; do
        eval "own=\\$NATRIG_ADDR_$host"
        [ "$ip" = "$own" ] || continue
        for server in $NATRIG_ADDR_SRV $NATRIG_STUN; do
            nsenter --net=$fd "$1" probe --json --stun $server \\
                >$host-$server.json 2>$host-$server.err &
            probes="$probes $!"
        done
    done
done
wait $probes
kill $turn
"""


def probe(natrig: Natrig, host: str, text: str = LAB) -> dict[str, Any]:
    """Probe from HOST in a lab."""
    ran = natrig.run("probe", "--json", natrig.write(text, f"{host}.yaml"), host)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def values(report: dict[str, Any]) -> dict[str, Any]:
    """Take what was found, by name."""
    return {name: one["value"] for name, one in report["findings"].items()}


@pytest.mark.parametrize(("host", "expected"), list(zip(HOSTS, NATS.values())), ids=IDS)
def test_the_probe_tells_what_was_asked_for(
    lab: Natrig, host: str, expected: tuple[str, str, str, str]
) -> None:
    """Each NAT is found to be what the scenario says."""
    got = values(probe(lab, host))
    names = ("mapping", "filtering", "port-assignment", "hairpinning")
    assert tuple(got[name] for name in names) == expected
    assert got["fragments-outbound"] is True
    assert got["fragments-inbound"] is True
    assert got["outbound-refresh"] is True
    assert got["mapping-lifetime"] in (29, 30)
    assert got["stream-lifetime"] in (119, 120)


@pytest.mark.parametrize("host", ["a", "b2"])
def test_a_neighbour_takes_part(lab: Natrig, host: str) -> None:
    """Two hosts behind one NAT show what becomes of a port both want."""
    got = values(probe(lab, host))
    assert got["two-hosts-on-one-port"] == "second gets another port"
    assert got["deterministic"] is True


def test_lifetimes_are_those_of_the_scenario(lab: Natrig) -> None:
    """In skipped time a lifetime costs nothing to measure."""
    got = values(probe(lab, "a", SHORT))
    assert got["mapping-lifetime"] in (11, 12)
    assert got["stream-lifetime"] in (46, 47)


def test_no_nat_is_told(lab: Natrig) -> None:
    """A router that only routes, and a host on the internet."""
    for host in ("h", "srv"):
        report = probe(lab, host)
        assert report["translated"] is False
        assert values(report)["mapping"] == "not translated"
        assert "nothing is translated" in report["findings"]["hairpinning"]["note"]


def test_blocked_udp_is_status_1(lab: Natrig) -> None:
    """Nothing was found out, and the reason is said once."""
    ran = lab.run("probe", lab.write(LAB), "g")
    assert ran.returncode == 1
    assert ran.stdout.count("does not answer: UDP is blocked") == 1
    assert "could not find out" in ran.stdout


def test_the_table_fits_80_columns(lab: Natrig) -> None:
    """One line an item, in RFC 4787's words."""
    ran = lab.run("probe", lab.write(LAB), "d")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "address-and-port-dependent" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_on_the_network_at_hand(lab: Natrig) -> None:
    """--stun asks in real time with plain sockets, and finds the same."""
    path = lab.write(LAB)
    ran = lab.run("exec", path, "b", "--", *probe_command(lab), "--stun", "25.255.0.1")
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    got = values(json.loads(ran.stdout))
    expected = values(probe(lab, "b"))
    for name in ("mapping", "filtering", "port-assignment", "hairpinning", "fragments-inbound"):
        assert got[name] == expected[name], name
    assert got["mapping-lifetime"] is None


def probe_command(natrig: Natrig) -> list[str]:
    """Write the command that probes from inside a lab, without a prefix."""
    return [str(natrig.program), "probe", "--json"]


# --- against coturn's ------------------------------------------------------

# Both wait for silence in real time: one user's labs are enough to compare.
one_user = pytest.mark.parametrize("natrig", [USERS[-1]], indirect=True)


def discover(natrig: Natrig, host: str) -> str:
    """Have coturn's own tool discover a NAT, with natrig's STUN servers."""
    tool = "turnutils_natdiscovery -m -f -H $NATRIG_STUN 2>&1"
    ran = natrig.run(
        "exec", natrig.write(LAB, f"tool-{host}.yaml"), host, "--", "sh", "-c", tool
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def read_discovery(text: str) -> tuple[str, str, str]:
    """Translate the tool's sentences: mapping, filtering, hairpinning."""
    words = {
        "Endpoint Independent": EI,
        "Address Dependent": AD,
        "Address and Port Dependent": APD,
    }
    told = {}
    for phrase, meaning in words.items():
        for kind in ("Mapping", "Filtering"):
            if f"NAT with {phrase} {kind}!" in text:
                told[kind] = meaning
    hairpin = "maybe a successful hairpinning" in text
    return told["Mapping"], told["Filtering"], "external source" if hairpin else "not supported"


@one_user
def test_coturns_tool_agrees(lab: Natrig) -> None:
    """turnutils_natdiscovery, from every home, says what natrig probe says."""
    need("turnutils_natdiscovery")
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        texts = list(pool.map(lambda host: discover(lab, host), HOSTS))
    for host, text, (mapping, filtering, _, hairpin) in zip(HOSTS, texts, NATS.values()):
        assert read_discovery(text) == (mapping, filtering, hairpin), host


@one_user
def test_coturns_server_gives_the_same(lab: Natrig) -> None:
    """Against turnserver the probe finds what it finds against natrig's."""
    need("turnserver", "ip", "nsenter", "ss")
    ran = lab.run(
        *("exec", lab.write(LAB), "srv", "--"),
        *("sh", "-ec", BESIDE_TURNSERVER, "sh", str(lab.program)),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for host, expected in zip(HOSTS, NATS.values()):
        ours, theirs = (
            json.loads((lab.work / f"{host.upper()}-{server}.json").read_text())
            for server in ("25.255.0.1", "25.128.0.1")
        )
        assert (ours["software"], "oturn" in theirs["software"]) == ("natrig", True)
        assert values(theirs) == values(ours), host
        assert values(theirs)["mapping"] == expected[0], host


# --- usage -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("probe",), "wants FILE HOST, or --stun"),
        (("probe", "x.yaml"), "wants FILE HOST, or --stun"),
        (("probe", "--stun", "x", "y.yaml"), "exclude each other"),
        (("probe", "--stn", "x"), "did you mean --stun?"),
        (("probe", "--stun", "127.0.0.1:99999"), "port from 1 to 65535"),
        (("probe", "--stun", "127.0.0.1:"), "port from 1 to 65535"),
        (("probe", "--lifetime=soon", "x", "y"), "--lifetime wants seconds"),
        (("probe", "nowhere.yaml", "a"), "No such file"),
        (("nat",), "wants list or show"),
        (("nat", "lsit"), "did you mean 'list'?"),
        (("nat", "show"), "show wants PRESET, or FILE ROUTER"),
        (("nat", "show", "symetric"), "did you mean 'symmetric'?"),
        (("nat", "--jsno", "list"), "--json"),
        (("lab",), "wants one scenario FILE"),
        (("lab", "--dto", "x"), "did you mean --dot?"),
        (("lab", "nowhere.yaml"), "No such file"),
    ],
)
def test_usage_errors(natrig: Natrig, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be understood is exit 2 and a word on what would be."""
    ran = natrig.run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr


def test_an_unknown_host_is_named(natrig: Natrig) -> None:
    """A host that is not there: exit 2, and the nearest that is."""
    path = natrig.write(LAB)
    ran = natrig.run("probe", path, "srw")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "has no host 'srw'; did you mean 'srv'?" in ran.stderr
    ran = natrig.run("nat", "show", path, "home-aa")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "did you mean 'home-a'?" in ran.stderr


@pytest.mark.parametrize("verb", ["probe", "nat", "lab"])
def test_each_verb_has_help(natrig: Natrig, verb: str) -> None:
    """A verb's help opens with its usage and fits a terminal."""
    ran = natrig.run(verb, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: natrig {verb}")
    assert max(map(len, ran.stdout.splitlines())) <= 80


# --- certification ----------------------------------------------------------

REQUIREMENTS = {f"RFC 4787 REQ-{number}" for number in range(1, 15)}


def test_every_router_is_certified(lab: Natrig) -> None:
    """Each router measures what was asked for; each requirement has a line."""
    ran = lab.run("run", "--certify", "--json", lab.write(LAB))
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    (result,) = json.loads(ran.stdout)["scenarios"]
    assert result["verdict"] == "holds"
    told = {one["router"]: one for one in result["certificate"]}
    assert set(told) == {f"home-{host}" for host in (*HOSTS, "g", "h")}
    for router in told.values():
        assert router["lies"] == [], router["router"]
    states = {
        name: {line["requirement"]: line["state"] for line in router["lines"]}
        for name, router in told.items()
    }
    assert set(states["home-a"]) >= REQUIREMENTS
    assert states["home-a"]["RFC 4787 REQ-1"] == "met"
    assert states["home-d"]["RFC 4787 REQ-1"] == "broken-as-asked"
    assert states["home-e"]["RFC 4787 REQ-9"] == "met"
    assert states["home-g"] == {"UDP": "broken-as-asked"}


def test_certificates_fit_80_columns(lab: Natrig) -> None:
    """A table for each router, in words."""
    ran = lab.run("run", "--certify", lab.write(LAB))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "router home-d is what was asked for" in ran.stdout
    table = ran.stdout[ran.stdout.index("router home-a") :]
    assert max(map(len, table.splitlines())) <= 80


# --- nat and lab -----------------------------------------------------------


def test_nat_list_has_every_preset(natrig: Natrig) -> None:
    """Text and JSON have the same presets."""
    ran = natrig.run("nat", "list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert max(map(len, ran.stdout.splitlines())) <= 80
    listed = json.loads(natrig.run("nat", "list", "--json").stdout)
    names = [one["name"] for one in listed]
    assert {"none", "easy", "full-cone", "address-restricted", "symmetric"} <= set(names)
    for name in names:
        assert f"\n{name} " in ran.stdout


def test_nat_show_has_behaviour_and_rules(natrig: Natrig) -> None:
    """What it does, what does it, and the rules that nft would read."""
    ran = natrig.run("nat", "show", "full-cone")
    assert (ran.returncode, ran.stderr) == (0, "")
    for words in ("endpoint-independent (EIF)", "netfilter", "table inet router {"):
        assert words in ran.stdout
    path = natrig.write(LAB)
    shown = json.loads(natrig.run("nat", "show", "--json", path, "home-e").stdout)
    assert shown["hairpin"] == "external"
    assert "# hairpin: not filtered" in shown["rules"]


def test_the_lab_is_drawn(natrig: Natrig) -> None:
    """Nodes, addresses and NATs, without building anything."""
    ran = natrig.run("lab", natrig.write(LAB))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "easy: eim, apdf, ports preserve" in ran.stdout
    assert "192.168.1.2" in ran.stdout
    assert not [line for line in ran.stdout.splitlines() if line != line.rstrip()]


def test_the_lab_is_drawn_for_graphviz(natrig: Natrig) -> None:
    """A graph with a node for each node and an edge for each link."""
    ran = natrig.run("lab", "--dot", natrig.write(LAB))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("graph lab {")
    assert '"home-a" -- "a";' in ran.stdout
    assert '"the internet" -- "srv";' in ran.stdout
    need("dot")
    drawn = subprocess.run(
        ["dot", "-Tsvg"], input=ran.stdout, capture_output=True, text=True, check=False
    )
    assert drawn.returncode == 0, drawn.stderr

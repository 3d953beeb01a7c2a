# SPDX-License-Identifier: BSD-3-Clause
"""natrig exec and shell: programs that others wrote, inside the lab."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers import Natrig, need

LAB = """\
natrig: 1
title: a lab to look at from inside
routers:
  home-a: {nat: easy, portmap: nat-pmp}
  edge-c: {nat: symmetric}
  cone: {nat: full-cone, portmap: upnp}
hosts:
  a: {router: home-a}
  c: {router: edge-c}
  d: {router: cone}
steps:
  - {start: all}
  - {ping: a -> c, expect: relay}
"""

# A STUN binding request (RFC 8489) to argv[1]; prints XOR-MAPPED-ADDRESS.
STUN_QUERY = """\
import os, socket, struct, sys
query = struct.pack("!HHI", 1, 0, 0x2112A442) + os.urandom(12)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.sendto(query, (sys.argv[1], 3478))
    answer = s.recv(2048)
kind, size, cookie = struct.unpack("!HHI", answer[:8])
assert (kind, cookie, answer[8:20]) == (0x0101, 0x2112A442, query[8:]), answer
at = 20
while at < 20 + size:
    name, length = struct.unpack("!HH", answer[at : at + 4])
    if name == 0x0020:
        port, ip = struct.unpack("!2xHI", answer[at + 4 : at + 12])
        print(socket.inet_ntoa(struct.pack("!I", ip ^ cookie)), port ^ cookie >> 16)
    at += 4 + (length + 3) // 4 * 4
"""


def shell(natrig: Natrig, host: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell SCRIPT in HOST."""
    return natrig.run("exec", natrig.write(LAB), host, "--", "sh", "-ec", script)


def test_the_command_sees_the_hosts_network(lab: Natrig) -> None:
    """There is the host's own address, and nothing of this machine's."""
    need("ip")
    ran = shell(lab, "a", "ip -o -4 addr show scope global; echo $NATRIG_ADDR_A $NATRIG_HOST")
    assert ran.returncode == 0, ran.stderr
    link, told = ran.stdout.strip().splitlines()
    address, host = told.split()
    assert f"inet {address}/" in link
    assert host == "a"


def test_the_environment_has_every_address(lab: Natrig) -> None:
    """NATRIG_ADDR_NODE, in capitals and with underscores; no surprises."""
    ran = shell(lab, "c", "env")
    names = {line.split("=")[0] for line in ran.stdout.splitlines()}
    nodes = ("A", "C", "D", "HOME_A", "EDGE_C", "CONE", "RELAY", "CONTROL")
    assert {f"NATRIG_ADDR_{node}" for node in nodes} <= names
    assert {"NATRIG_STUN", "NATRIG_GATEWAY", "PATH", "HOME"} <= names


@pytest.mark.parametrize(
    ("host", "keeps_port"), [("a", True), ("c", False), ("d", True)], ids=["easy", "hard", "cone"]
)
def test_stun_tells_the_routers_address(lab: Natrig, host: str, keeps_port: bool) -> None:
    """A STUN client of our own sees the NAT: the router's address."""
    router = {"a": "HOME_A", "c": "EDGE_C", "d": "CONE"}[host]
    path = lab.work / "stun.py"
    path.write_text(STUN_QUERY)
    script = f'echo $NATRIG_ADDR_{router}; "{sys.executable}" stun.py $NATRIG_STUN'
    ran = shell(lab, host, script)
    assert ran.returncode == 0, ran.stderr
    router_ip, mapped = ran.stdout.splitlines()
    assert mapped.split()[0] == router_ip


@pytest.mark.parametrize(
    ("host", "mapping", "filtering"),
    [
        ("a", "NAT with Endpoint Independent Mapping", "Address and Port Dependent Filtering"),
        ("c", "NAT with Address and Port Dependent Mapping", "Address and Port Dependent Filter"),
        ("d", "NAT with Endpoint Independent Mapping", "Endpoint Independent Filtering"),
    ],
    ids=["easy", "symmetric", "full-cone"],
)
def test_an_independent_client_finds_the_behaviour(
    lab: Natrig, host: str, mapping: str, filtering: str
) -> None:
    """Coturn's RFC 5780 client names the NAT as the scenario did."""
    need("turnutils_natdiscovery")
    found = shell(lab, host, "turnutils_natdiscovery -m -f -L $NATRIG_ADDR_" + host.upper() +
                  " $NATRIG_STUN 2>&1")  # fmt: skip
    assert mapping in found.stdout
    assert filtering in found.stdout


def test_an_independent_client_gets_a_nat_pmp_mapping(lab: Natrig) -> None:
    """Natpmpc asks the router's daemon and gets what it asked for."""
    need("natpmpc")
    script = "natpmpc -g $NATRIG_GATEWAY -a 5001 5001 udp 60; echo $NATRIG_ADDR_HOME_A"
    ran = shell(lab, "a", script)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    router_ip = ran.stdout.splitlines()[-1]
    assert f"Public IP address : {router_ip}" in ran.stdout
    assert "Mapped public port 5001 protocol UDP to local port 5001" in ran.stdout


def test_an_independent_client_gets_a_upnp_mapping(lab: Natrig) -> None:
    """Miniupnpc finds the router's daemon and gets what it asked for."""
    need("upnpc")
    ran = shell(lab, "d", "upnpc -a $NATRIG_ADDR_D 5002 5002 UDP 60; echo $NATRIG_ADDR_CONE")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    router_ip = ran.stdout.splitlines()[-1]
    assert f"external {router_ip}:5002 UDP is redirected" in ran.stdout


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("no-such-program",), 127),
        (("/dev/null",), 126),
    ],
    ids=["well", "exit 7", "killed", "not found", "not to be run"],
)
def test_the_status_is_the_commands(lab: Natrig, command: tuple[str, ...], status: int) -> None:
    """As a shell would tell it."""
    assert lab.run("exec", lab.write(LAB), "a", "--", *command).returncode == status


def test_input_goes_to_the_command(lab: Natrig) -> None:
    """Standard input is the command's."""
    ran = lab.run(
        "exec", lab.write(LAB), "a", "--", "cat", stdin=None, input="through the lab\n"
    )  # fmt: skip
    assert ran.stdout == "through the lab\n"


@pytest.mark.parametrize("verb", ["exec", "shell"])
def test_an_unknown_host_is_a_usage_error(natrig: Natrig, verb: str) -> None:
    """The nearest host is named."""
    more = ("--", "true") if verb == "exec" else ()
    ran = natrig.run(verb, natrig.write(LAB), "aa", *more)
    assert ran.returncode == 2
    assert "no host 'aa'; did you mean 'a'?" in ran.stderr


def test_shell_takes_commands(lab: Natrig) -> None:
    """Natrig shell: a shell in the first host; its end ends the lab."""
    lab.environment = {**lab.environment, "SHELL": "/bin/sh"}
    ran = lab.run(
        "shell", lab.write(LAB), stdin=None, input="echo $NATRIG_HOST $NATRIG_ADDR_A; exit 4\n"
    )  # fmt: skip
    assert ran.returncode == 4, ran.stderr
    assert ran.stdout.split()[0] == "a"

# SPDX-License-Identifier: BSD-3-Clause
"""What clients' programs share: natrig's contract, README.md beside this file.

A program is called as `client VERB`, is told everything in its environment,
and prints JSON, one object a line. This module reads the one and writes the
other; a client that is written in another language needs none of it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

ECHO_EVERY_S = 1.0
POLL_S = 0.05


def told(name: str, default: str | None = None) -> str:
    """Return what natrig tells in NATRIG_<name>, or DEFAULT."""
    value = os.environ.get(f"NATRIG_{name}", default)
    if value is None:
        fail(f"NATRIG_{name} is not set: this program is called by natrig")
    return value


def nodes(name: str) -> dict[str, str]:
    """Return the nodes and addresses in NATRIG_<name>: "relay=25.255.0.4 ..."."""
    return dict(item.split("=", 1) for item in told(name, "").split())


def say(**words: Any) -> None:
    """Print one object for natrig; keys' underscores become dashes."""
    line = json.dumps({key.replace("_", "-"): value for key, value in words.items()})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def log(text: str) -> None:
    """Note something in the run's log."""
    print(text, file=sys.stderr, flush=True)


def fail(why: str) -> NoReturn:
    """Tell natrig why this call fails, and fail."""
    say(error=why)
    raise SystemExit(1)


def main(verbs: dict[str, Callable[[], None]]) -> None:
    """Do the verb that this program was called with."""
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    if verb not in verbs:
        fail(f"called as {sys.argv[1:]}; the verbs are {', '.join(verbs)}")
    # natrig ends programs with SIGKILL; a person's Ctrl-C is natrig's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    verbs[verb]()


def until(condition: Callable[[], bool], limit_s: float, every_s: float = POLL_S) -> bool:
    """Poll for CONDITION until it is true, LIMIT_S at most; whether it was."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(every_s)
    return True


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes TCP connections at HOST:PORT."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def start(command: Sequence[str], **extra: str) -> subprocess.Popen[bytes]:
    """Start a program whose words go to the run's log."""
    log(f"starting {' '.join(command)}")
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        env=os.environ | extra,
    )


def lives_until(
    program: subprocess.Popen[bytes], condition: Callable[[], bool], limit_s: float
) -> bool:
    """Poll for CONDITION while PROGRAM lives; whether it came true."""
    return until(lambda: program.poll() is not None or condition(), limit_s) and (
        program.poll() is None
    )


def wait_for_port(program: subprocess.Popen[bytes], port: int, limit_s: float = 50) -> None:
    """Wait until PROGRAM listens at PORT of this namespace, or fail."""
    if not lives_until(program, lambda: listens(port), limit_s):
        name = Path(str(program.args[0])).name  # type: ignore[index]
        fail(f"{name} does not listen at port {port}, exit status {program.poll()}")


def stay_with(program: subprocess.Popen[bytes]) -> NoReturn:
    """Live as long as PROGRAM does."""
    raise SystemExit(program.wait() or 1)


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(number: int, ident: int, ip_bytes: int) -> bytes:
    """Make an ICMP echo request whose IP packet has IP_BYTES (RFC 792)."""
    body = bytes(ip_bytes - 20 - 8)
    head = struct.pack("!BBHHH", 8, 0, 0, ident, number)
    return struct.pack("!BBHHH", 8, 0, checksum(head + body), ident, number) + body


def ping_through_tunnel(find: Callable[[], str | None]) -> NoReturn:
    """Send an echo each second to the tunnel address that FIND finds.

    FIND is asked again as long as it knows none. Each echo and its reply is
    told to natrig, which sees from the packets what path they took.
    """
    size = int(told("ECHO_BYTES"))
    ident = os.getpid() & 0xFFFF
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    number = 0
    due = time.monotonic()
    while True:
        if time.monotonic() >= due:
            due += ECHO_EVERY_S
            number += 1
            say(sent=number)
            address = find()
            if address:
                try:
                    raw.sendto(echo(number, ident, size), (address, 0))
                except OSError as error:
                    log(f"echo {number} to {address}: {error}")
        ready, _, _ = select.select([raw], [], [], max(0.0, due - time.monotonic()))
        if not ready:
            continue
        packet = raw.recv(65536)
        kind, _, _, its, which = struct.unpack("!BBHHH", packet[20:28])
        if kind == 0 and its == ident:
            say(reply=which)


def cached(name: str, version: str) -> Path:
    """Return where `natrig client install NAME@VERSION` puts programs."""
    return Path(told("CACHE")) / name / version

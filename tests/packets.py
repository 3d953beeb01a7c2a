# SPDX-License-Identifier: BSD-3-Clause
"""A small reader of natrig's recordings: UDP packets and ICMP errors at each vantage.

It shares no code with natrig, so that the two cannot be wrong together.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INTERFACE, ENHANCED_PACKET = 1, 6  # block types of pcapng
IF_NAME, EPB_FLAGS = 2, 2  # options
OUTWARD = 2  # in the low bits of epb_flags
ICMP, UDP = 1, 17
# Ports that mean something; the others are chosen by a kernel.
KNOWN_PORTS = {1900, 3478, 3479, 5351, 41641, 41642}
DISCO = b"TS\xf0\x9f\x92\xac"
DISCO_KINDS = {110: "disco.pong", 124: "disco.ping"}
WIREGUARD_KINDS = {1: "wireguard.initiation", 2: "wireguard.response", 4: "wireguard.data"}
STUN_COOKIE = b"\x21\x12\xa4\x42"


@dataclass(frozen=True)
class Packet:
    """A packet as one vantage saw it."""

    time_s: float  # lab time, from the recording's first frame on
    vantage: str
    outward: bool
    kind: str
    source: str  # address:port, with * for a port that a kernel chose
    target: str

    @property
    def what(self) -> tuple[str, str, str]:
        """All but where and when."""
        return self.kind, self.source, self.target


def read_packets(path: Path) -> list[Packet]:
    """Give the UDP packets and ICMP errors of a recording in the order of its frames."""
    names: list[str] = []
    first_ns = None
    found = []
    for kind, body in blocks(path.read_bytes()):
        if kind == INTERFACE:
            names.append(dict(options(body, 8)).get(IF_NAME, b"").decode())
        elif kind == ENHANCED_PACKET:
            interface, high, low, captured = struct.unpack_from("<IIII", body)
            time_ns = high << 32 | low
            first_ns = time_ns if first_ns is None else first_ns
            frame = body[20 : 20 + captured]
            flags = dict(options(body, 20 + (captured + 3) // 4 * 4)).get(EPB_FLAGS, bytes(4))
            outward = flags[0] & 3 == OUTWARD
            packet = decode(frame, (time_ns - first_ns) / 1e9, names[interface], outward)
            if packet:
                found.append(packet)
    return found


def blocks(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the type and body of each block of a little-endian pcapng file."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        yield kind, content[at + 8 : at + size - 4]
        at += size


def options(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Give the options that begin AT in a block's body."""
    while at + 4 <= len(body):
        code, size = struct.unpack_from("<HH", body, at)
        if not code:
            return
        yield code, body[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def decode(frame: bytes, time_s: float, vantage: str, outward: bool) -> Packet | None:
    """Decode an Ethernet frame, where it is IPv4 and UDP or ICMP."""
    if frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4 or frame[23] not in (ICMP, UDP):
        return None
    at = 14 + (frame[14] & 15) * 4
    source, target = (str(ipaddress.IPv4Address(frame[one : one + 4])) for one in (26, 30))
    if frame[23] == ICMP:
        kind = f"icmp.{frame[at]}.{frame[at + 1]}"
        return Packet(time_s, vantage, outward, kind, source, target)
    ports = struct.unpack_from("!HH", frame, at)
    kind = kind_of(frame[at + 8 :], ports)
    source, target = (
        f"{address}:{port if port in KNOWN_PORTS else '*'}"
        for address, port in zip((source, target), ports)
    )
    return Packet(time_s, vantage, outward, kind, source, target)


def kind_of(payload: bytes, ports: tuple[int, ...]) -> str:
    """Tell what a UDP payload is, by its first bytes, length and ports."""
    if payload.startswith(DISCO):
        return DISCO_KINDS.get(len(payload), "disco")
    if payload[4:8] == STUN_COOKIE:
        return "stun.answer" if payload[0] else "stun.question"
    if 5351 in ports:
        return f"nat-pmp.{payload[1]}"
    if 1900 in ports:
        return f"ssdp.{payload[:8].decode(errors='replace')}"
    if len(payload) >= 32 and payload[1:4] == bytes(3) and payload[0] in WIREGUARD_KINDS:
        return f"{WIREGUARD_KINDS[payload[0]]}.{len(payload)}"
    return "udp"

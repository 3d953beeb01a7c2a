# SPDX-License-Identifier: BSD-3-Clause
"""natrig verify and show on files that are broken, or made by others."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import DEAD, DIRECT, Natrig

VERBS = ("verify", "show")
CRASH = re.compile(r"AddressSanitizer|runtime error|LeakSanitizer|Assertion|core dumped", re.I)

FOREIGN = {
    "empty": b"",
    "one-byte": b"\x0a",
    "text": b"this is no recording\n" * 50,
    "png": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "gzip": b"\x1f\x8b\x08" + bytes(200),
    "elf": b"\x7fELF" + bytes(500),
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "pcap-magic-only": b"\xd4\xc3\xb2\xa1",
    "pcapng-magic-only": b"\x0a\x0d\x0d\x0a",
    "pcapng-huge-block": struct.pack("<IIIHHqI", 0x0A0D0D0A, 0xFFFFFFF0, 0x1A2B3C4D, 1, 0, -1, 0),
    "pcapng-odd-length": struct.pack("<IIIHHqI", 0x0A0D0D0A, 29, 0x1A2B3C4D, 1, 0, -1, 29) + b"0",
    "pcapng-no-byte-order": struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x12345678, 1, 0, -1, 28),
    "pcapng-version-9": struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 9, 0, -1, 28),
    "pcap-huge-packet": struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    + struct.pack("<IIII", 1, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    + bytes(100),
}


def classic_pcap(*packets: bytes, link: int = 101) -> bytes:
    """Make a classic pcap file of raw IP PACKETS."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(
        struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet
        for number, packet in enumerate(packets, 1)
    )


def udp_packet(payload: bytes) -> bytes:
    """Make an IPv4 packet from 25.0.0.1:1000 to 25.0.0.2:2000."""
    size = 28 + len(payload)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, size, 1, 0, 64, 17, 0, 0x19000001, 0x19000002)
    return ip + struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0) + payload


def block_ends(recording: bytes) -> Iterator[int]:
    """Give the offset behind each pcapng block."""
    at = 0
    while at < len(recording):
        at += struct.unpack_from("<I", recording, at + 4)[0]
        yield at


@pytest.fixture
def recording(lab: Natrig) -> bytes:
    """Give a recording that natrig made itself."""
    ran = lab.run("run", "--keep", "kept", lab.write(DIRECT))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return (lab.work / "kept" / "scenario.pcapng").read_bytes()


def read_with(natrig: Natrig, verb: str, name: str, content: bytes) -> tuple[int, str]:
    """Let VERB read a file with CONTENT; give the status and what it says."""
    path = natrig.work / name
    path.write_bytes(content)
    path.chmod(0o644)
    scenario = (natrig.write(DIRECT),) if verb == "verify" else ()
    ran = natrig.run(verb, *scenario, path)
    assert ran.returncode >= 0, f"killed by signal {-ran.returncode}\n{ran.stderr}"
    assert not CRASH.search(ran.stderr), ran.stderr
    return ran.returncode, ran.stderr


def assert_refused(status: int, said: str, name: str) -> None:
    """Exit 2, and one short message that names the file."""
    assert status == 2, said
    assert name in said
    assert len(said.splitlines()) <= 2, said
    assert len(said) < 700


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(natrig: Natrig, verb: str, name: str) -> None:
    """What is no recording is called so."""
    assert_refused(*read_with(natrig, verb, name, FOREIGN[name]), name)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["no-such-file", "/", "/dev/null"])
def test_what_is_no_file_is_refused(natrig: Natrig, verb: str, name: str) -> None:
    """The same for a folder, a device, and nothing at all."""
    scenario = (natrig.write(DIRECT),) if verb == "verify" else ()
    ran = natrig.run(verb, *scenario, name)
    assert_refused(ran.returncode, ran.stderr, name)


@pytest.mark.parametrize("verb", VERBS)
def test_random_bytes_are_refused(natrig: Natrig, verb: str) -> None:
    """Random bytes, bare and behind the start of a real file."""
    noise = random.Random(4)
    starts = (b"", FOREIGN["pcapng-magic-only"], classic_pcap(udp_packet(b"x"))[:24])
    for number in range(24):
        content = starts[number % 3] + noise.randbytes(noise.randrange(16, 3000))
        assert_refused(*read_with(natrig, verb, f"noise-{number}", content), f"noise-{number}")


@pytest.mark.parametrize("verb", VERBS)
def test_recordings_cut_short_are_refused(lab: Natrig, recording: bytes, verb: str) -> None:
    """A file that ends inside a block is refused, wherever that is."""
    ends = set(block_ends(recording))
    assert len(recording) in ends
    chooser = random.Random(5)
    cuts = {1, 7, 11, 27, len(recording) - 1, len(recording) - 4}
    cuts |= {chooser.randrange(len(recording)) for _ in range(20)}
    for cut in sorted(cuts - ends):
        name = f"cut-{cut}"
        assert_refused(*read_with(lab, verb, name, recording[:cut]), name)


@pytest.mark.parametrize("verb", VERBS)
def test_flipped_bits_do_not_crash(lab: Natrig, recording: bytes, verb: str) -> None:
    """Whatever a damaged recording says, natrig ends with a status of its own."""
    chooser = random.Random(6)
    for number in range(40):
        damaged = bytearray(recording)
        for _ in range(1 + number % 4):
            damaged[chooser.randrange(len(damaged))] ^= 1 << chooser.randrange(8)
        status, said = read_with(lab, verb, f"flipped-{number}", bytes(damaged))
        assert status in (0, 1, 2), said
        assert (status == 2) == bool(said.strip())


def show_json(natrig: Natrig, *arguments: object) -> dict[str, Any]:
    """Let `natrig show --json` read a recording."""
    ran = natrig.run("show", "--json", *arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == 1
    return json.loads(ran.stdout)


def test_show_json_tells_each_journey(lab: Natrig) -> None:
    """The JSON has what the ladder has: the way, the end and its reason."""
    ran = lab.run("run", "--json", "--keep", "kept", lab.write(DEAD))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = show_json(lab, "kept/scenario.pcapng")
    ladder = lab.run("show", "--width", 40, "kept/scenario.pcapng").stdout
    assert shown["title"] == "nothing gets through where the relay is blocked and UDP is too"
    nodes = {node["name"]: node for node in shown["nodes"]}
    assert nodes["a"] == {"name": "a", "kind": "host", "behind": "home-a", "ips": ["192.168.1.2"]}
    assert (nodes["edge-c"]["kind"], nodes["edge-c"]["behind"]) == ("router", None)
    assert nodes["relay"]["kind"] == "server"
    vantages = {vantage["name"] for vantage in shown["vantages"]}
    assert {"a.eth0", "home-a.lan", "home-a.wan"} <= vantages
    for journey in shown["journeys"]:
        seen = journey["sightings"]
        assert {one["vantage"] for one in seen} <= vantages
        assert {one["node"] for one in seen} <= nodes.keys()
        assert 0 <= journey["first_s"] <= journey["last_s"]
        assert journey["first_s"] == min(one["time_s"] for one in seen)
        assert not (journey["arrived"] and journey["reason"])
    # The list for people begins each journey with its first frame.
    told = [int(line.split()[0]) for line in ladder.splitlines() if re.match(r" *\d+ +\d+\.", line)]
    assert told == [journey["sightings"][0]["frame"] for journey in shown["journeys"]]
    dead = [
        one
        for one in shown["journeys"]
        if (one["kind"], one["from"], one["to"]) == ("disco.ping", "a", "c")
    ]
    assert dead
    for one in dead:
        assert not one["arrived"]
        assert one["died_at"] or one["on_internet"]
        assert one["reason"]
        assert one["reason"] in one["sentence"]


def test_show_json_places_the_steps(lab: Natrig) -> None:
    """The steps' times of a run are the times of the recording's packets."""
    ran = lab.run("run", "--json", "--keep", "kept", lab.write(DEAD))
    steps = json.loads(ran.stdout)["scenarios"][0]["steps"]
    shown = show_json(lab, "kept/scenario.pcapng")
    for before, after in zip(steps, steps[1:]):
        assert before["started_s"] <= before["ended_s"] <= after["started_s"]
    ping = steps[-1]
    assert ping["verb"] == "ping"
    assert 11.9 < ping["ended_s"] - ping["started_s"] < 12.5
    frames = {
        one["frame"]: one["time_s"] for journey in shown["journeys"] for one in journey["sightings"]
    }
    assert ping["frames"]
    for frame in ping["frames"]:
        assert ping["started_s"] <= frames[frame] <= ping["ended_s"]
    # Of what a sends to c nothing is older than the start of its pings.
    first = min(
        journey["first_s"]
        for journey in shown["journeys"]
        if (journey["from"], journey["to"], journey["kind"]) == ("a", "c", "disco.ping")
    )
    assert first >= ping["started_s"]


def test_show_json_of_a_name_that_is_no_text(natrig: Natrig) -> None:
    """A recording whose interface is named in no UTF-8 is still JSON."""
    name = b"a\xff\xfe.eth0\0"  # padded to four bytes
    name += bytes(-len(name) % 4)
    option = struct.pack("<HH", 2, 9) + name[:12] + struct.pack("<HH", 0, 0)
    length = 20 + len(option)
    interface = struct.pack("<IIHHI", 1, length, 101, 0, 0) + option + struct.pack("<I", length)
    packet = udp_packet(b"hello!!!")
    length = 32 + len(packet)
    enhanced = struct.pack("<IIIIIII", 6, length, 0, 0, 1, len(packet), len(packet))
    path = natrig.work / "odd.pcapng"
    path.write_bytes(
        struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        + interface
        + enhanced
        + packet
        + struct.pack("<I", length)
    )
    path.chmod(0o644)
    shown = show_json(natrig, path)
    assert shown["vantages"] == [{"name": "a??.eth0", "node": "a??", "interface": "eth0"}]
    assert len(shown["journeys"]) == 1


def test_show_reads_what_others_recorded(natrig: Natrig) -> None:
    """A classic pcap file without any of natrig's own marks is shown."""
    path = natrig.work / "other.pcap"
    path.write_bytes(classic_pcap(udp_packet(b"hello"), udp_packet(b"again")))
    path.chmod(0o644)
    ran = natrig.run("show", path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


def test_verify_says_what_a_foreign_recording_lacks(natrig: Natrig) -> None:
    """Without the scenario's nodes in it, nothing is proved."""
    content = classic_pcap(udp_packet(b"hello"))
    status, _ = read_with(natrig, "verify", "other.pcap", content)
    assert status in (1, 2)


@pytest.mark.parametrize("verb", VERBS)
def test_packets_of_any_content_are_read(natrig: Natrig, verb: str) -> None:
    """Sound files with random packets in them are read to their end."""
    noise = random.Random(7)
    headers = (b"TS\xf0\x9f\x92\xac", b"\x01\0\0\0", b"\x04\0\0\0", b"\0\x01\0\0\x21\x12\xa4\x42")
    packets = [noise.randbytes(noise.randrange(1, 300)) for _ in range(100)]
    packets += [
        udp_packet(noise.choice(headers) + noise.randbytes(noise.randrange(200)))
        for _ in range(300)
    ]
    for link in (101, 1, 113, 276):
        content = classic_pcap(*packets, link=link)
        status, said = read_with(natrig, verb, f"odd-{link}.pcap", content)
        assert status in (0, 1, 2), said


def test_data_of_other_programs_is_read(natrig: Natrig) -> None:
    """Files that Wireshark's programs wrote, kept beside the tests."""
    files = sorted((Path(__file__).parent / "data").glob("*.pcap*"))
    assert files
    for path in files:
        copy = natrig.work / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o644)
        ran = natrig.run("show", copy)
        assert (ran.returncode, ran.stderr) == (0, ""), path.name
        assert show_json(natrig, copy)["journeys"], path.name

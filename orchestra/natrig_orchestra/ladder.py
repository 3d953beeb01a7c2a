# SPDX-License-Identifier: BSD-3-Clause
"""The packets of a step as a ladder in SVG: a lane a node, time downwards.

What `natrig show --json` tells of a recording is cut into steps here, and each
journey becomes a rung. Nothing is judged: where a packet died, and why, is in
the JSON.
"""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Of more journeys than this equal ones are told once, wherever they are; of
# fewer only those that follow each other.
FEW = 24
# What a step shows at most; the rest is counted.
MAX_RUNGS = 60

LEFT = 66  # where the times are
MARGIN = 18
MIN_SPACING, WIDE_SPACING, FEW_LANES, MAX_NAME_LEN = 84, 100, 7, 15
HEAD = 46
TEXT_HEIGHT, ARROW_HEIGHT, TURN, GAP_HEIGHT = 14, 17, 9, 20
LETTER = 6.3  # of the label's font, rather too wide
PAUSE_S = 0.2

KINDS = {
    "disco.ping": "ping",
    "disco.pong": "pong",
    "disco.call-me-maybe": "cmm",
    "disco": "ping",
    "stun": "stun",
    "wireguard": "wireguard",
    "portmap": "portmap",
    "icmp error": "icmp",
    "tcp connect": "tcp",
}


@dataclass(frozen=True)
class Sighting:
    """A packet seen at a vantage."""

    frame: int
    node: str
    out: bool
    src: str
    dst: str


@dataclass(frozen=True)
class Journey:
    """One packet and its way."""

    kind: str
    sender: str
    meant_for: str
    over_relay: bool
    arrived: bool
    died_at: str
    on_internet: bool
    first_s: float
    reason: str
    sentence: str
    sightings: tuple[Sighting, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Journey:
        """Read a member of "journeys"."""
        return cls(
            kind=entry["kind"],
            sender=entry["from"] or "",
            meant_for=entry["to"] or "",
            over_relay=entry["over_relay"],
            arrived=entry["arrived"],
            died_at=entry["died_at"] or "",
            on_internet=entry["on_internet"],
            first_s=entry["first_s"],
            reason=entry["reason"] or "",
            sentence=entry["sentence"] or "",
            sightings=tuple(
                Sighting(one["frame"], one["node"] or "", one["out"], one["src"], one["dst"])
                for one in entry["sightings"]
            ),
        )

    @property
    def dead(self) -> bool:
        """Whether it is known to have died."""
        return not self.arrived and bool(self.died_at or self.on_internet)

    @property
    def way(self) -> tuple[str, ...]:
        """The nodes that it was seen at, each once in a row."""
        way: list[str] = []
        for one in self.sightings:
            if one.node and way[-1:] != [one.node]:
                way.append(one.node)
        return tuple(way)

    @property
    def frames(self) -> set[int]:
        """The frames that it was seen in."""
        return {one.frame for one in self.sightings}

    @property
    def looks(self) -> tuple[object, ...]:
        """What two rungs that look alike have in common."""
        return (self.kind, self.sender, self.meant_for, self.way, self.arrived, self.reason)

    @property
    def colour(self) -> str:
        """The class that has its colour; a kind that is guessed has its own too."""
        return KINDS.get(self.kind.removeprefix("relay ").rstrip("?"), "other")

    @property
    def ends(self) -> str:
        """From whom to whom."""
        first = self.sightings[0]
        return f"{self.sender or first.src} \u2192 {self.meant_for or first.dst}"


@dataclass(frozen=True)
class Node:
    """A node of the recording's cast."""

    name: str
    kind: str
    behind: str
    ip: str


@dataclass
class Recording:
    """What `natrig show --json` tells of a recording."""

    nodes: dict[str, Node]
    journeys: list[Journey]

    @classmethod
    def from_json(cls, all_of_it: Mapping[str, Any]) -> Recording:
        """Read the whole of it."""
        nodes = [
            Node(one["name"] or "", one["kind"], one["behind"] or "", (one["ips"] or [""])[0])
            for one in all_of_it["nodes"]
        ]
        return cls(
            {node.name: node for node in nodes},
            [Journey.from_json(one) for one in all_of_it["journeys"] if one["sightings"]],
        )

    def between(self, from_s: float, until_s: float) -> list[Journey]:
        """Give the journeys that began in a step's time."""
        return [one for one in self.journeys if from_s <= one.first_s < until_s]

    def with_frames(self, frames: Sequence[int]) -> list[Journey]:
        """Give the journeys that were seen in any of FRAMES."""
        wanted = set(frames)
        return [one for one in self.journeys if wanted & one.frames]


@dataclass
class Rung:
    """A journey, and how many that look the same it stands for."""

    journey: Journey
    evidence: bool
    count: int = 1
    last_s: float = 0


@dataclass
class Ladder:
    """What is drawn, and what is not."""

    rungs: list[Rung]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def left_out_text(self) -> str:
        """Tell what is not drawn."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.left_out.most_common())
        return (
            f"{sum(self.left_out.values())} more packets are left out here: {kinds}"
            if kinds
            else ""
        )


def climb(
    journeys: Sequence[Journey], evidence: Sequence[int] = (), limit: int = MAX_RUNGS
) -> Ladder:
    """Choose the rungs: repeats are told once, and what is too much is counted.

    Packets that are evidence always stand for themselves, and are never left
    out.
    """
    wanted = set(evidence)
    rungs: list[Rung] = []
    last: dict[tuple[object, ...], Rung] = {}
    for one in journeys:
        proof = bool(wanted & one.frames)
        same = None if proof else last.get(one.looks)
        if same and (len(journeys) > FEW or same is rungs[-1]):
            same.count += 1
            same.last_s = one.first_s
            continue
        rung = Rung(one, proof, last_s=one.first_s)
        rungs.append(rung)
        if not proof:
            last[one.looks] = rung
    room = max(0, limit - sum(rung.evidence for rung in rungs))
    kept: list[Rung] = []
    left_out: Counter[str] = Counter()
    for rung in rungs:
        if rung.evidence:
            kept.append(rung)
        elif room:
            room -= 1
            kept.append(rung)
        else:
            left_out[rung.journey.kind] += rung.count
    return Ladder(kept, left_out)


def lanes_of(nodes: Mapping[str, Node], rungs: Sequence[Rung]) -> list[str]:
    """Order the lanes: hosts outermost, their routers, servers in the middle."""
    shown: set[str] = set()
    for rung in rungs:
        one = rung.journey
        shown |= {*one.way, one.meant_for, one.died_at}
    for name in list(shown):
        while name in nodes and nodes[name].behind:
            name = nodes[name].behind
            shown.add(name)
    shown &= nodes.keys()

    def tree(root: str) -> list[str]:
        """Give a router and, before it, all that is behind it."""
        inner = [name for name in nodes if nodes[name].behind == root and name in shown]
        return [*(lane for name in inner for lane in tree(name)), root]

    roots = [name for name in nodes if name in shown and nodes[name].behind not in shown]
    servers = [name for name in roots if nodes[name].kind == "server"]
    others = [name for name in roots if nodes[name].kind != "server"]
    half = (len(others) + 1) // 2
    left = [lane for name in others[:half] for lane in tree(name)]
    right = [lane for name in others[half:] for lane in reversed(tree(name))]
    return [*left, *servers, *right]


class Drawing:
    """One ladder as SVG."""

    def __init__(self, nodes: Mapping[str, Node], ladder: Ladder, title: str) -> None:
        self.nodes = nodes
        self.ladder = ladder
        self.lanes = lanes_of(nodes, ladder.rungs)
        longest = max((min(len(name), MAX_NAME_LEN) for name in self.lanes), default=0)
        few = WIDE_SPACING if len(self.lanes) <= FEW_LANES else MIN_SPACING
        self.spacing = max(few, round(longest * 7.4 + 28))
        self.first_x = LEFT + MARGIN + self.spacing / 2
        self.width = round(LEFT + 2 * MARGIN + self.spacing * max(len(self.lanes), 4))
        self.y: float = HEAD + 6
        self.svg = ET.Element("svg", {"class": "ladder", "role": "img"})
        ET.SubElement(self.svg, "title").text = title
        self.lines = ET.SubElement(self.svg, "path", {"class": "lanes"})

    def x(self, lane: int) -> float:
        """Give the middle of a lane."""
        return self.first_x + lane * self.spacing

    def draw(self) -> str:
        """Draw all of it."""
        before_s: float | None = None
        for rung in self.ladder.rungs:
            now_s = rung.journey.first_s
            if before_s is not None and now_s - before_s >= PAUSE_S:
                self.draw_pause(now_s - before_s)
            before_s = now_s
            self.draw_rung(rung)
        bottom = self.y + 6
        self.draw_heads(0)
        height = bottom
        if len(self.ladder.rungs) > 16:
            self.draw_heads(bottom)
            height += HEAD
        lanes = (f"M{self.x(lane):g} {HEAD - 6}V{bottom:g}" for lane in range(len(self.lanes)))
        self.lines.set("d", "".join(lanes))
        self.svg.set("viewBox", f"0 0 {self.width} {height:g}")
        self.svg.set("width", str(self.width))
        self.svg.set("height", f"{height:g}")
        return ET.tostring(self.svg, encoding="unicode")

    def text(self, parent: ET.Element, x: float, y: float, kind: str, words: str) -> ET.Element:
        """Write WORDS."""
        node = ET.SubElement(parent, "text", {"x": f"{x:g}", "y": f"{y:g}", "class": kind})
        node.text = printable(words)
        return node

    def draw_heads(self, top: float) -> None:
        """Name the lanes."""
        for lane, name in enumerate(self.lanes):
            node = self.nodes[name]
            group = ET.SubElement(self.svg, "g", {"class": f"node {node.kind}"})
            ET.SubElement(group, "title").text = printable(
                f"{name}: {node.kind}{f' behind {node.behind}' if node.behind else ''}, {node.ip}"
            )
            box = self.spacing - 10
            ET.SubElement(
                group,
                "rect",
                {
                    "x": f"{self.x(lane) - box / 2:g}",
                    "y": f"{top + 3:g}",
                    "width": f"{box:g}",
                    "height": "36",
                    "rx": "18" if node.kind == "host" else "4",
                },
            )
            self.text(group, self.x(lane), top + 19, "name", shorten(name))
            self.text(group, self.x(lane), top + 32, "ip", node.ip)

    def draw_pause(self, pause_s: float) -> None:
        """Tell that for a while nothing was sent."""
        y = self.y + GAP_HEIGHT / 2
        line = f"M{LEFT + 6} {y:g}H{self.width - MARGIN}"
        ET.SubElement(self.svg, "path", {"class": "pause", "d": line})
        told = f"{pause_s:.1f} s" if pause_s < 100 else f"{pause_s:.0f} s"
        self.text(self.svg, LEFT, y + 3.5, "later", f"+ {told}")
        self.y += GAP_HEIGHT

    def draw_rung(self, rung: Rung) -> None:
        """Draw a journey: its words, and below them its arrow."""
        one = rung.journey
        way = [self.lanes.index(name) for name in one.way if name in self.lanes]
        state = "dead" if one.dead else "arrived" if one.arrived else "lost"
        kind = f"rung k-{one.colour} {state}{' relay' if one.over_relay else ''}"
        group = ET.SubElement(self.svg, "g", {"class": kind})
        ET.SubElement(group, "title").text = printable(one.sentence)
        top = self.y
        self.y += 4
        lines = self.write_label(group, rung, way)
        self.text(group, LEFT, top + TEXT_HEIGHT, "time", f"{one.first_s:.4f}")
        y = self.y + (lines * TEXT_HEIGHT) + 5
        turns = self.draw_way(group, one, way, y) if way else 0
        frame = self.text(group, LEFT, top + TEXT_HEIGHT + 12, "frame", "")
        frame.text = f"#{one.sightings[0].frame}"
        self.y = y - 5 + ARROW_HEIGHT + turns * TURN
        if rung.evidence:
            band = ET.Element(
                "rect",
                {
                    "class": "evidence",
                    "x": "2",
                    "y": f"{top + 1:g}",
                    "width": str(self.width - 4),
                    "height": f"{self.y - top - 1:g}",
                    "rx": "5",
                },
            )
            group.insert(1, band)

    def write_label(self, group: ET.Element, rung: Rung, way: Sequence[int]) -> int:
        """Write what it is, beside its arrow; give the number of lines."""
        one = rung.journey
        low = min(way, default=0)
        high = max(way, default=0)
        right = low > (len(self.lanes) - 1) / 2
        x = self.x(high) + 8 if right else self.x(low) - 8
        room = int((x - LEFT if right else self.width - MARGIN - x) / LETTER)
        kind = "label leftwards" if right else "label"
        text = self.text(group, x, self.y + 10, kind, "")
        head = [("kind", one.kind), ("ends", f" {one.ends}")]
        if rung.count > 1:
            head.append(("times", f" \u00d7{rung.count} until {rung.last_s:.4f}"))
        for style, words in head:
            ET.SubElement(text, "tspan", {"class": style}).text = printable(words)
        if not one.reason:
            return 1
        used = sum(len(words) for _, words in head) + 2
        if used + len(one.reason) <= room:
            ET.SubElement(text, "tspan", {"class": "reason"}).text = printable(f"  {one.reason}")
            return 1
        lines = textwrap.wrap(one.reason, max(room, 24))
        for number, line in enumerate(lines, 1):
            more = self.text(group, x, self.y + 10 + number * TEXT_HEIGHT, f"{kind} reason", "")
            more.text = printable(line)
        return 1 + len(lines)

    def draw_way(self, group: ET.Element, one: Journey, way: Sequence[int], y: float) -> int:
        """Draw the arrow lane by lane; where it comes back, a line lower."""
        x = self.x(way[0])
        path = [f"M{x:g} {y:g}"]
        heading, turns = 0, 0
        dots = [(x, y)]
        for lane in way[1:]:
            towards = 1 if self.x(lane) > x else -1
            if heading and towards != heading:
                path.append(f"a{TURN / 2:g} {TURN / 2:g} 0 0 {int(heading > 0)} 0 {TURN}")
                turns += 1
                y += TURN
            heading = towards
            x = self.x(lane)
            path.append(f"H{x:g}")
            dots.append((x, y))
        if not one.arrived and one.sightings[-1].out:
            heading = self.heading(one, way[-1])
            x += heading * self.spacing * 0.45
            path.append(f"H{x:g}")
        ET.SubElement(group, "path", {"class": "way", "d": "".join(path)})
        if one.arrived:
            dots.pop()  # the arrowhead is there
        seen = (f"M{at:g} {height:g}h0" for at, height in dots)
        ET.SubElement(group, "path", {"class": "dots", "d": "".join(seen)})
        if one.arrived:
            end = f"M{x - 10 * heading:g} {y - 5:g}L{x:g} {y:g}l{-10 * heading} 5z"
        elif one.dead:
            end = f"M{x - 5:g} {y - 5:g}l10 10m0-10l-10 10"
        else:
            end = f"M{x - 4:g} {y:g}a4 4 0 1 0 8 0a4 4 0 1 0-8 0"
        ET.SubElement(group, "path", {"class": "end", "d": end})
        return turns

    def heading(self, one: Journey, lane: int) -> int:
        """Tell which way it went when it was last seen: 1 is to the right."""
        if one.meant_for in self.lanes and self.lanes.index(one.meant_for) != lane:
            return 1 if self.lanes.index(one.meant_for) > lane else -1
        return 1 if lane * 2 < len(self.lanes) else -1


def shorten(name: str) -> str:
    """Leave out the middle of a long name: what tells names apart is at the ends."""
    half = MAX_NAME_LEN // 2
    return name if len(name) <= MAX_NAME_LEN else f"{name[:half]}\u2026{name[-half:]}"


def printable(words: str) -> str:
    """Leave out control characters, which XML cannot carry."""
    return "".join(c if c.isprintable() else "?" for c in words)


def draw(recording: Recording, ladder: Ladder, title: str) -> str:
    """Draw LADDER as SVG."""
    return Drawing(recording.nodes, ladder, title).draw()

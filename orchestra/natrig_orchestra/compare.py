# SPDX-License-Identifier: BSD-3-Clause
"""`natrig compare`: the same scenarios with several clients, side by side.

It runs `natrig run --json` once a client, one after the other, or reads what
such a run has said before; `natrig show --json` gives the packets. What holds
and what does not is natrig's word, never this program's.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from natrig_orchestra import program, report
from natrig_orchestra.comparison import SLACK_S, Column, Comparison, compare, name_columns
from natrig_orchestra.known import Known, KnownError, read_known
from natrig_orchestra.ladder import Recording
from natrig_orchestra.needs import MissingPackage
from natrig_orchestra.page import need_jinja2, write_page
from natrig_orchestra.program import NatrigError, Status, Verdict

HELP = """\
Usage: natrig compare [OPTION]... --client K --client K... FILE|FOLDER...
       natrig compare [OPTION]... --from FILE --from FILE...

Runs scenarios with each client, one client after the other, and marks where
they differ from the first one that ran: in outcome, in path, or in the time
to the first reply.

  -c, --client K       a client, as natrig run has it: NAME or NAME@VERSION
      --from [NAME=]FILE
                       what natrig run --json has said before, in place of a
                       client; with its recordings where they still are
      --natrig PROGRAM the natrig of the clients named after it
      --slack SECONDS  first replies this far apart differ (default: 5.5, a
                       handshake's retry)
      --known FILE     differences that are known, and fail nothing
      --all-must-run   a client that cannot run is exit 3
  -j, --jobs N         labs at once, as natrig run has it
      --real-time      waits timers out instead of skipping idle time
      --keep DIR       keep recordings and results, DIR/CLIENT/
      --json FILE      one JSON object; - for standard output, without text
      --junit FILE     a JUnit report: a test case a cell
      --html FILE      one page with the packets behind each cell
  -v, --verbose        each scenario, step and statement, also what is the same
  -h, --help           this

--known names a list, in YAML or JSON, of entries with scenario, step, client
and reason: natrig(1) has an example.

Exit status: 0 no difference; 1 differences, or something falls short; 2 usage
or a bad scenario; 3 no client could run; 130 interrupted.
"""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Refused(Exception):
    """Usage, or a file that cannot be read: exit 2."""


@dataclass(frozen=True)
class Source:
    """Where a column comes from: a client to run, or a file."""

    kind: str
    value: str
    natrig: str | None


class AddSource(argparse.Action):
    """Collects clients and files in the order that they are named in."""

    def __call__(
        self, parser: Any, space: Any, value: Any, option_string: str | None = None
    ) -> None:
        """Add one."""
        known = [*(getattr(space, "sources", None) or [])]
        space.sources = [*known, Source(self.dest, str(value), space.natrig)]


class Parser(argparse.ArgumentParser):
    """Says what is wrong as natrig does."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong."""
        raise Refused(message)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="natrig compare", add_help=False, allow_abbrev=False)
    parser.set_defaults(sources=[])
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-c", "--client", action=AddSource)
    parser.add_argument("--from", action=AddSource)
    parser.add_argument("--natrig")
    parser.add_argument("--slack", type=float, default=SLACK_S)
    parser.add_argument("--known", type=Path)
    parser.add_argument("--all-must-run", action="store_true")
    parser.add_argument("-j", "--jobs", type=int)
    parser.add_argument("--real-time", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json")
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--html", type=Path)
    parser.add_argument("files", nargs="*")
    options = parser.parse_intermixed_args(arguments)
    if not options.help:
        check_options(options)
    return options


def check_options(options: argparse.Namespace) -> None:
    """Refuse what makes no sense together."""
    clients = [one for one in options.sources if one.kind == "client"]
    if len(options.sources) < 2:
        raise Refused("what with what? Name two clients (--client) or results (--from)")
    if clients and not options.files:
        raise Refused("which scenario? Name a file or a folder")
    if options.files and not clients:
        raise Refused(f"no client to run {options.files[0]} with: name one by --client")
    if options.jobs is not None and not 1 <= options.jobs <= 1024:
        raise Refused(f"--jobs wants a number from 1 to 1024, not {options.jobs}")
    if not options.slack >= 0:
        raise Refused(f"--slack wants seconds, not {options.slack}")


class Stopper:
    """Hands a signal on to the natrig that runs, which ends with what it has."""

    def __init__(self) -> None:
        self.told = False
        self.child: subprocess.Popen[str] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.told = True
        if self.child:
            self.child.send_signal(signal.SIGINT)

    @contextmanager
    def listening(self) -> Iterator[Stopper]:
        """Listen for signals."""
        before = {number: signal.signal(number, self) for number in STOPPING}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self, command: Sequence[str]) -> program.Run:
        """Run natrig to its end, or to the end that a signal brings."""
        with heard_errors() as (errors, said):
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                raise NatrigError(f"{command[0]}: {error.strerror}") from error
            self.child = child
            if self.told:
                child.send_signal(signal.SIGINT)
            output, _ = child.communicate()
            self.child = None
        return program.Run(
            tuple(command), child.returncode, output, without_progress("".join(said))
        )


@contextmanager
def heard_errors() -> Iterator[tuple[int, list[str]]]:
    """Give a file to write standard error to, and what will have been written.

    On a terminal natrig is given one as well, so that it shows its progress,
    and what it shows is passed on.
    """
    terminal = sys.stderr.isatty()
    reader, writer = os.openpty() if terminal else os.pipe()
    said: list[str] = []
    if terminal:
        tty.setraw(writer)
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(writer, termios.TIOCSWINSZ, size)

    def listen() -> None:
        """Read until nobody has the other end any more: of a pty, an error."""
        with suppress(OSError):
            while heard := os.read(reader, 65536):
                said.append(heard.decode(errors="replace"))
                if terminal:
                    print(said[-1], end="", file=sys.stderr, flush=True)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield writer, said
    finally:
        os.close(writer)
        listener.join(10)
        os.close(reader)


def without_progress(said: str) -> str:
    """Leave out lines that were only there for a while."""
    lines = (line.rpartition("\r\x1b[K")[2] for line in said.split("\n"))
    return "\n".join(line for line in lines if line)


class Session:
    """One call of `natrig compare`."""

    def __init__(self, options: argparse.Namespace, folder: Path, stopper: Stopper) -> None:
        self.options = options
        self.folder = folder
        self.stopper = stopper
        self.programs = {
            source.natrig: find_natrig(source.natrig)
            for source in options.sources
            if source.kind == "client"
        }
        self.any_program = next(iter(self.programs.values()), None)

    def check_scenarios(self) -> None:
        """Have natrig read the scenarios before anything runs."""
        if self.any_program:
            ran = program.run(self.any_program, "check-scenario", *self.options.files)
            if ran.status:
                raise Refused(ran.errors.strip())

    def columns(self) -> list[Column]:
        """Run the clients, or read the files."""
        columns = []
        options = self.options
        for number, source in enumerate(options.sources, 1):
            if source.kind == "from":
                columns.append(read_results(source.value))
                continue
            column = Column(source.value, f"natrig run --client {source.value}")
            columns.append(column)
            if self.stopper.told:
                column.interrupted = True
                column.reason = "interrupted before it was its turn"
                continue
            if sys.stderr.isatty():
                told = f"{number} of {len(options.sources)}: {source.value}"
                print(f"natrig compare: {told}", file=sys.stderr)
            self.run_client(column, source, number)
        name_columns(columns)
        return columns

    def run_client(self, column: Column, source: Source, number: int) -> None:
        """Run all scenarios with one client."""
        options = self.options
        keep = self.folder / folder_name(source.value, number)
        command = [str(self.programs[source.natrig]), "run", "--json"]
        command += ["--client", source.value]
        if source.natrig:
            column.origin = f"{source.natrig} run --client {source.value}"
        if options.html or options.keep:
            command += ["--keep", str(keep)]
        if options.jobs:
            command += ["--jobs", str(options.jobs)]
        if options.real_time:
            command.append("--real-time")
        ran = self.stopper.run([*command, "--", *options.files])
        column.interrupted = ran.status == Status.INTERRUPTED
        try:
            column.verdicts = ran.verdicts()
        except NatrigError:
            column.reason = last_words(ran)
        errors = {one.error for one in column.verdicts}
        if column.verdicts and all(one.verdict == "could-not-run" for one in column.verdicts):
            column.reason = errors.pop() if len(errors) == 1 else ""
        if options.keep and column.verdicts:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / "results.json").write_text(ran.output, encoding="utf-8")

    def read_recording(self, verdict: Verdict) -> tuple[Recording | None, str]:
        """Have natrig show the recording of a verdict."""
        if not verdict.recording:
            return None, "no recording of this was kept (natrig run --keep)"
        if not Path(verdict.recording).is_file():
            return None, f"its recording is not there any more: {verdict.recording}"
        try:
            natrig = self.any_program or program.find()
            ran = program.run(natrig, "show", "--json", verdict.recording)
            return Recording.from_json(json.loads(ran.output)), ""
        except (NatrigError, ValueError, KeyError, TypeError) as error:
            return None, f"natrig cannot show {verdict.recording}: {error}"


def find_natrig(named: str | None) -> Path:
    """Find natrig; one that was named and is not there is usage."""
    try:
        return program.find(named)
    except NatrigError as error:
        if named:
            raise Refused(str(error)) from error
        raise


def folder_name(client: str, number: int) -> str:
    """Name the folder of a client; the same one twice has two."""
    plain = "".join(c if c.isalnum() or c in "-_.@" else "-" for c in client)
    return f"{number}-{plain}"


def last_words(ran: program.Run) -> str:
    """Tell why natrig gave no verdict."""
    lines = [line for line in ran.errors.splitlines() if line and not line.startswith("Try: ")]
    told = " ".join(line.strip() for line in lines)
    return told.removeprefix("natrig run: ") or f"natrig ended with {ran.status} and no word"


def read_results(named: str) -> Column:
    """Read what `natrig run --json` has said before."""
    name, equals, place = named.partition("=")
    path = Path(place if equals and not Path(named).exists() else named)
    try:
        text = path.read_text(encoding="utf-8")
        verdicts = program.verdicts_of(text)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{path}: this is not what natrig run --json says: {error}") from error
    if not verdicts:
        raise Refused(f"{path}: there is no scenario in it")
    verdicts = [replace(one, recording=locate(one.recording, path.parent)) for one in verdicts]
    clients = {one.client for one in verdicts}
    told = clients.pop() if len(clients) == 1 else ""
    named_so = equals and str(path) != named
    stem = path.parent.name if path.stem == "results" and path.parent.name else path.stem
    if named_so:
        return Column(name, f"from {path}", verdicts)
    return Column(told or stem, f"from {path}", verdicts, file=stem)


def locate(recording: str, folder: Path) -> str:
    """Find a recording of results in FOLDER, which may have been moved with it."""
    if not recording:
        return ""
    for place in (folder / recording, folder / Path(recording).name):
        if place.is_file():
            return str(place)
    return recording


def write_file(path: Path, content: bytes | str) -> None:
    """Write a report."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error


def style_of(out: TextIO, verbose: bool) -> report.Style:
    """Colours and width belong to a terminal; elsewhere it is 80 columns."""
    terminal = out.isatty()
    columns = shutil.get_terminal_size((80, 24)).columns if terminal else 80
    dumb = os.environ.get("TERM", "dumb") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return report.Style(max(columns, 60), terminal and not dumb, verbose)


def write_reports(session: Session, comparison: Comparison) -> None:
    """Write all reports that were asked for."""
    options = session.options
    as_json = json.dumps(report.as_json(comparison), indent=2, ensure_ascii=False) + "\n"
    if options.json == "-":
        sys.stdout.write(as_json)
    else:
        for line in report.text(comparison, style_of(sys.stdout, options.verbose)):
            print(line)
        if options.json:
            write_file(Path(options.json), as_json)
    sys.stdout.flush()
    if options.junit:
        write_file(options.junit, report.junit(comparison))
    if options.html:
        write_file(options.html, write_page(comparison, session.read_recording))


def exit_status(comparison: Comparison, all_must_run: bool, interrupted: bool) -> int:
    """Give the exit status."""
    ran = comparison.ran
    if interrupted:
        return Status.INTERRUPTED
    if not any(ran) or (all_must_run and not all(ran)):
        return Status.CANNOT_RUN
    return Status.FALLS_SHORT if comparison.fails else Status.HOLDS


def run_all(options: argparse.Namespace) -> int:
    """Do what the options say."""
    known: list[Known] = read_known(options.known) if options.known else []
    if options.html:
        need_jinja2()
    stopper = Stopper()
    with tempfile.TemporaryDirectory(prefix="natrig-compare-") as scratch, stopper.listening():
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
        session = Session(options, options.keep or Path(scratch), stopper)
        session.check_scenarios()
        comparison = compare(session.columns(), known, options.slack)
        write_reports(session, comparison)
    return exit_status(comparison, options.all_must_run, stopper.told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `natrig compare`; give its exit status."""
    try:
        options = read_options(arguments)
        if options.help:
            print(HELP, end="")
            return Status.HOLDS
        return run_all(options)
    except MissingPackage as error:
        print(f"natrig compare: {error}", file=sys.stderr)
        return Status.CANNOT_RUN
    except NatrigError as error:
        print(f"natrig compare: {error}", file=sys.stderr)
        return Status.CANNOT_RUN
    except (Refused, KnownError, OSError) as error:
        print(f"natrig compare: {error}\nTry: natrig compare --help", file=sys.stderr)
        return Status.REFUSED

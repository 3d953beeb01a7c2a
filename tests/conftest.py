# SPDX-License-Identifier: BSD-3-Clause
"""The fixtures that give a test its natrig.

Every test gets a natrig that runs as some user: as root and as nobody where
the tests run as root, else as whoever runs them. It lives with the scenarios in
a throw-away copy that this user may read, and works in a folder of its own.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import IS_ROOT, SOURCE, USERS, Natrig
from natrig_orchestra.pytest_plugin import find_natrig


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread the tests that take long over xdist's workers.

    Each worker begins with a row of tests, so neighbours of one file that take
    long would be one worker's. Scenarios, which are many and quick, come last.
    """
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: zlib.crc32(item.nodeid.encode())
            if item.path.parent == SOURCE / "tests"
            else 1 << 32
        )


@pytest.fixture(scope="session")
def stage(pytestconfig: pytest.Config) -> Iterator[Path]:
    """Copy natrig and its scenarios to where every user may read them."""
    folder = Path(tempfile.mkdtemp(prefix="natrig-tests-"))
    folder.chmod(0o755)
    shutil.copy2(find_natrig(pytestconfig), folder / "natrig")
    shutil.copytree(SOURCE / "scenarios", folder / "scenarios")
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    (folder / "work").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def gid() -> int:
    """Choose a group that nobody is in: it marks whatever natrig leaves."""
    return 60000 + os.getpid() % 5000


@pytest.fixture(scope="session")
def work_numbers() -> Iterator[int]:
    """Count this session's work folders."""
    return itertools.count()


@pytest.fixture(params=USERS)
def natrig(
    request: pytest.FixtureRequest, stage: Path, gid: int, work_numbers: Iterator[int]
) -> Natrig:
    """Give the natrig of one user, with an empty work folder."""
    user = pwd.getpwnam(request.param)
    work = stage / "work" / str(next(work_numbers))
    work.mkdir()
    prefix: list[str] = []
    if IS_ROOT:
        os.chown(work, user.pw_uid, gid)
        prefix = ["setpriv", f"--regid={gid}", "--clear-groups"]
        if user.pw_uid:
            prefix += [f"--reuid={user.pw_uid}", "--inh-caps=-all"]
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("NATRIG", "COLUMNS", "NO_COLOR", "TERM")
    }
    environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment.update(HOME=str(work), USER=user.pw_name, LC_ALL="C.UTF-8")
    return Natrig(user.pw_name, stage / "natrig", stage / "scenarios", work, prefix, environment)


@pytest.fixture(scope="session")
def missing() -> dict[str, list[str]]:
    """Remember what each user lacks for labs: that stays the same."""
    return {}


@pytest.fixture
def lab(natrig: Natrig, missing: dict[str, list[str]]) -> Natrig:
    """Give a natrig that can run labs here; skip with its reason if not."""
    if natrig.user not in missing:
        doctor = natrig.run("doctor")
        lines = [line for line in doctor.stdout.splitlines() if "MISSING" in line]
        missing[natrig.user] = (lines or ["see natrig doctor"]) if doctor.returncode == 3 else []
    if missing[natrig.user]:
        pytest.skip(f"natrig cannot run labs as {natrig.user}: {'; '.join(missing[natrig.user])}")
    return natrig

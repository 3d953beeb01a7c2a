# SPDX-License-Identifier: BSD-3-Clause
"""natrig doctor, and what happens on a machine that cannot run labs."""

from __future__ import annotations

import json
import subprocess

import pytest

from helpers import DIRECT, Natrig, need

# In a user namespace of its own, as a user without rights, where no further
# user namespace may be made.
NO_NAMESPACES = (
    "unshare",
    "--user",
    "--map-user=1000",
    "--map-group=1000",
    "--keep-caps",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_user_namespaces && "
    'exec setpriv --ambient-caps=-all --inh-caps=-all "$@"',
    "sh",
)


@pytest.fixture
def barred(natrig: Natrig) -> Natrig:
    """Give a natrig that cannot make namespaces."""
    need("unshare", "setpriv")
    natrig.prefix = (*natrig.prefix, *NO_NAMESPACES)
    tried = natrig.run_command([*natrig.prefix, "true"])
    if tried.returncode:
        pytest.skip(f"no user namespace to try it in: {tried.stderr.strip()}")
    return natrig


def test_doctor_lists_features(natrig: Natrig) -> None:
    """Each feature with what was found; the last line and the status agree."""
    ran = natrig.run("doctor")
    assert ran.returncode in (0, 3), ran.stderr
    lines = ran.stdout.splitlines()
    assert any(line.startswith("ok ") for line in lines)
    assert any(line.startswith("MISSING") for line in lines) == (ran.returncode == 3)
    assert ("cannot run" in lines[-1]) == (ran.returncode == 3)


def test_doctor_speaks_json(natrig: Natrig) -> None:
    """The same as an object, for machines."""
    ran = natrig.run("doctor", "--json")
    told = json.loads(ran.stdout)
    assert told["able"] == (ran.returncode == 0)
    assert told["features"]
    for feature in told["features"]:
        assert feature["name"]
        assert isinstance(feature["present"], bool)
        assert isinstance(feature["required"], bool)
        if feature["required"] and not feature["present"]:
            assert feature["remedy"]


def test_doctor_without_user_namespaces(barred: Natrig) -> None:
    """Doctor says which feature is missing and how to get it."""
    ran = barred.run("doctor")
    assert ran.returncode == 3
    assert any(
        line.startswith("MISSING") and "namespace" in line for line in ran.stdout.splitlines()
    )
    assert "to get it: " in ran.stdout
    assert "max_user_namespaces" in ran.stdout


@pytest.mark.parametrize(
    "verb", [("run",), ("run", "--json"), ("exec",)], ids=lambda verb: " ".join(verb)
)
def test_labs_without_user_namespaces(barred: Natrig, verb: tuple[str, ...]) -> None:
    """What needs a lab ends with exit 3 and says what is in the way."""
    more = ("a", "--", "true") if verb == ("exec",) else ()
    ran = barred.run(*verb, barred.write(DIRECT), *more)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 3, said
    assert "namespace" in said
    assert "max_user_namespaces" in said or "natrig doctor" in said


def test_no_lab_no_difference(barred: Natrig) -> None:
    """What needs no lab works all the same."""
    ran = barred.run("check-scenario", barred.write(DIRECT), stdin=subprocess.DEVNULL)
    assert ran.returncode == 0

# SPDX-License-Identifier: BSD-3-Clause
"""Python packages that only some options need, asked for when they do."""

from __future__ import annotations

import importlib
import sys
from typing import Any


class MissingPackage(Exception):
    """A Python package is not installed; the text says how to get it."""


def need(module: str, debian: str, pypi: str, what: str) -> Any:
    """Import MODULE, which WHAT cannot do without."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{what} needs the Python package {pypi}, which {sys.executable} does not have: "
            f"apt-get install {debian} (for /usr/bin/python3), or "
            f"{sys.executable} -m pip install {pypi}"
        ) from error

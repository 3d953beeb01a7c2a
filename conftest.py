# SPDX-License-Identifier: BSD-3-Clause
"""Makes `pytest scenarios/` run the scenarios with the natrig of this tree."""

pytest_plugins = ["natrig_orchestra.pytest_plugin"]

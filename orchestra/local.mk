# SPDX-License-Identifier: BSD-3-Clause
# In the tree pytest finds the plugin through conftest.py. Installed, it is
# `pytest -p natrig_orchestra.pytest_plugin`, or comes with `pip install .`.
orchestra_files = \
	orchestra/natrig_orchestra/__init__.py \
	orchestra/natrig_orchestra/program.py \
	orchestra/natrig_orchestra/pytest_plugin.py
EXTRA_DIST += conftest.py pyproject.toml \
	orchestra/natrig_orchestra/py.typed
if HAVE_PYTHON
natrig_orchestradir = $(pythondir)/natrig_orchestra
dist_natrig_orchestra_PYTHON = $(orchestra_files)
else
EXTRA_DIST += $(orchestra_files)
endif

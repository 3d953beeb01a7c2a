# SPDX-License-Identifier: BSD-3-Clause
# In the tree pytest finds the plugin through conftest.py. Installed, it is
# `pytest -p natrig_orchestra.pytest_plugin`, or comes with `pip install .`.
orchestra_files = \
	orchestra/natrig_orchestra/__init__.py \
	orchestra/natrig_orchestra/compare.py \
	orchestra/natrig_orchestra/comparison.py \
	orchestra/natrig_orchestra/known.py \
	orchestra/natrig_orchestra/ladder.py \
	orchestra/natrig_orchestra/needs.py \
	orchestra/natrig_orchestra/page.py \
	orchestra/natrig_orchestra/program.py \
	orchestra/natrig_orchestra/pytest_plugin.py \
	orchestra/natrig_orchestra/report.py
orchestra_data = \
	orchestra/natrig_orchestra/page.css \
	orchestra/natrig_orchestra/page.html.j2 \
	orchestra/natrig_orchestra/page.js
EXTRA_DIST += conftest.py pyproject.toml \
	orchestra/natrig_orchestra/py.typed orchestra/natrig-compare.in

# The launcher of `natrig compare`, which natrig finds as git finds its
# subcommands: one to install, and one that a build tree has beside natrig.
launch = sed -e 's|@PYTHON[@]|$(PYTHON)|' -e "s|@packages[@]|$$packages|" \
	$(top_srcdir)/orchestra/natrig-compare.in >$@.new && \
	chmod +x $@.new && mv $@.new $@
orchestra/natrig-compare: orchestra/natrig-compare.in Makefile
	$(AM_V_GEN)$(MKDIR_P) orchestra && packages='$(pythondir)' && $(launch)
natrig-compare: orchestra/natrig-compare.in Makefile
	$(AM_V_GEN)packages='$(abs_top_srcdir)/orchestra' && $(launch)
CLEANFILES += orchestra/natrig-compare natrig-compare

if HAVE_PYTHON
natrig_orchestradir = $(pythondir)/natrig_orchestra
dist_natrig_orchestra_PYTHON = $(orchestra_files)
dist_natrig_orchestra_DATA = $(orchestra_data)
pkglibexec_SCRIPTS = orchestra/natrig-compare
noinst_SCRIPTS = natrig-compare
else
EXTRA_DIST += $(orchestra_files) $(orchestra_data)
endif

# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libnetns.a
libnetns_a_SOURCES = \
	netns/sandbox.c netns/sandbox.h netns/probe.c \
	netns/clock.c netns/clock.h \
	netns/nat.c netns/nat_rules.c netns/nat.h \
	netns/netlink.c netns/netlink.h \
	netns/child.c netns/child.h \
	netns/closing.c netns/closing.h \
	netns/conntrack.c netns/conntrack.h \
	netns/element.c netns/element.h \
	netns/portmapd.c netns/portmapd_lease.c netns/portmapd.h \
	netns/portmapd_own.h \
	netns/lab.c netns/lab_plan.c netns/lab_ns.c netns/lab_build.c \
	netns/lab_link.c netns/lab_router.c netns/lab_block.c \
	netns/lab_age.c netns/lab_idle.c netns/lab.h netns/lab_own.h

if HAVE_CHECK
check_PROGRAMS += tests/check_sandbox tests/check_clock tests/check_nat \
	tests/check_lab
tests_check_sandbox_SOURCES = tests/check_sandbox.c
tests_check_sandbox_LDADD = $(netns_libs) $(CHECK_LIBS)
tests_check_clock_SOURCES = tests/check_clock.c
tests_check_clock_LDADD = $(netns_libs) $(CHECK_LIBS)
tests_check_nat_SOURCES = tests/check_nat.c
tests_check_nat_LDADD = $(netns_libs) $(CHECK_LIBS)
tests_check_lab_SOURCES = tests/check_lab.c tests/check_lab_router.c \
	tests/check_lab_limits.c \
	tests/check_lab_age.c tests/check_lab_portmap.c \
	tests/check_lab_world.c tests/check_lab_world.h
tests_check_lab_LDADD = $(netns_libs) $(CHECK_LIBS)
endif

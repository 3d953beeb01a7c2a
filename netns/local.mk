# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libnetns.a
libnetns_a_SOURCES = \
	netns/sandbox.c netns/sandbox.h netns/probe.c \
	netns/clock.c netns/clock.h \
	netns/nat.c netns/nat_rules.c netns/nat.h \
	netns/netlink.c netns/netlink.h \
	netns/child.c netns/child.h \
	netns/conntrack.c netns/conntrack.h \
	netns/element.c netns/element.h \
	netns/portmapd.c netns/portmapd_lease.c netns/portmapd.h \
	netns/portmapd_own.h \
	netns/lab.c netns/lab_plan.c netns/lab_ns.c netns/lab_build.c netns/lab_link.c \
	netns/lab_router.c \
	netns/lab_block.c netns/lab_age.c netns/lab_idle.c netns/lab.h netns/lab_own.h

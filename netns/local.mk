# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libnetns.a
libnetns_a_SOURCES = \
	netns/sandbox.c netns/sandbox.h \
	netns/clock.c netns/clock.h \
	netns/nat.c netns/nat.h \
	netns/netlink.c netns/netlink.h \
	netns/conntrack.c netns/conntrack.h \
	netns/portmapd.c netns/portmapd.h \
	netns/lab.c netns/lab.h

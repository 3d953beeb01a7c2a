# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libnetns.a
libnetns_a_SOURCES = \
	netns/sandbox.c netns/sandbox.h netns/probe.c \
	netns/clock.c netns/clock.h \
	netns/nat.c netns/nat_rules.c netns/nat.h \
	netns/netlink.c netns/netlink.h \
	netns/child.c netns/child.h \
	netns/folder.c netns/folder.h \
	netns/closing.c netns/closing.h \
	netns/conntrack.c netns/conntrack.h \
	netns/element.c netns/element.h \
	netns/portmapd.c netns/portmapd_idle.c netns/portmapd_lease.c \
	netns/portmapd.h netns/portmapd_own.h \
	netns/lab.c netns/lab_plan.c netns/lab_ns.c netns/lab_build.c \
	netns/lab_link.c netns/lab_router.c netns/lab_block.c \
	netns/lab_engine.c netns/natbox.c netns/natbox_packet.c \
	netns/natbox_socket.c netns/natbox.h netns/natbox_own.h \
	netns/lab_age.c netns/lab.h netns/lab_own.h \
	netns/engine.c netns/engine_new.c netns/engine_map.c \
	netns/engine_portmap.c netns/engine_ports.c netns/engine_packet.c \
	netns/engine_icmp.c netns/engine_tcp.c netns/engine_fragment.c \
	netns/engine_store.c netns/engine.h netns/engine_own.h

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
	tests/check_lab_age.c tests/check_lab_engine.c \
	tests/check_lab_portmap.c \
	tests/check_lab_knobs.c tests/check_lab_timeouts.c \
	tests/check_lab_world.c tests/check_lab_world.h
tests_check_lab_LDADD = $(netns_libs) $(CHECK_LIBS)
check_PROGRAMS += tests/check_engine
tests_check_engine_SOURCES = tests/check_engine.c \
	tests/check_engine_fragments.c tests/check_engine_hairpin.c \
	tests/check_engine_icmp.c tests/check_engine_packets.c \
	tests/check_engine_portmap.c tests/check_engine_tcp.c \
	tests/check_engine_timers.c \
	tests/check_engine_world.c tests/check_engine_world.h
tests_check_engine_LDADD = $(netns_libs) $(CHECK_LIBS)
endif

check_PROGRAMS += tests/fuzz/replay_engine
tests_fuzz_replay_engine_SOURCES = tests/fuzz/fuzz_engine.c $(fuzz_driver)
tests_fuzz_replay_engine_LDADD = $(netns_libs)

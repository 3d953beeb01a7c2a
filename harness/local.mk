# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libharness.a
libharness_a_SOURCES = \
	harness/actions.c harness/actions.h \
	harness/conn.c harness/conn.h \
	harness/driver.c harness/driver.h harness/driver_private.h \
	harness/driver_actor.c harness/driver_quiet.c \
	harness/evidence.c harness/evidence.h \
	harness/pool.c harness/pool.h \
	harness/pool_worker.c harness/pool_worker.h \
	harness/raw.c harness/raw.h \
	harness/report.h harness/report_formats.c harness/report_text.c \
	harness/result.c harness/result.h \
	harness/run.c harness/run.h \
	harness/steps.c harness/steps.h \
	harness/rng.c harness/rng.h \
	harness/scenario.c harness/scenario.h \
	harness/client.c harness/client.h harness/client_private.h \
	harness/client_control.c harness/client_disco.c \
	harness/client_link.c harness/client_mapping.c \
	harness/client_noise.c harness/client_peer.c harness/client_ping.c \
	harness/client_relay.c harness/client_session.c \
	harness/client_stun.c \
	harness/stun_server.c harness/relay.c harness/control.c \
	harness/netmap.c harness/netmap.h \
	harness/server.h \
	harness/upnp.c harness/upnp.h

bin_PROGRAMS += natrig
natrig_SOURCES = harness/main.c \
	harness/commands.c harness/commands.h \
	harness/cmd_run.c harness/cmd_files.c harness/cmd_inside.c \
	harness/cmd_doctor.c \
	harness/bench.c harness/bench.h harness/bench_lab.c
natrig_LDADD = $(harness_libs) -lm

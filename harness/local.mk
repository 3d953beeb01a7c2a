# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libharness.a
libharness_a_SOURCES = \
	harness/actions.c harness/actions.h \
	harness/rng.c harness/rng.h \
	harness/scenario.c harness/scenario.h \
	harness/client.c harness/client.h \
	harness/stun_server.c harness/relay.c harness/control.c \
	harness/server.h \
	harness/upnp.c harness/upnp.h

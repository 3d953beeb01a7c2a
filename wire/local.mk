# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libwire.a
libwire_a_SOURCES = \
	wire/err.c wire/err.h \
	wire/endpoint.c wire/endpoint.h \
	wire/cursor.c wire/cursor.h \
	wire/packet.c wire/packet.h \
	wire/stun.c wire/stun.h \
	wire/disco.c wire/disco.h \
	wire/derp.c wire/derp.h \
	wire/natpmp.c wire/natpmp.h \
	wire/pcp.c wire/pcp.h \
	wire/wireguard.c wire/wireguard.h

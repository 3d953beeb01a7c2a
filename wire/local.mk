# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libwire.a
libwire_a_SOURCES = \
	wire/err.c wire/err.h \
	wire/endpoint.c wire/endpoint.h \
	wire/bytes.h \
	wire/cursor.c wire/cursor.h \
	wire/packet.c wire/packet.h \
	wire/stun.c wire/stun.h \
	wire/disco.c wire/disco.h \
	wire/derp.c wire/derp.h \
	wire/natpmp.c wire/natpmp.h \
	wire/pcp.c wire/pcp.h \
	wire/wireguard.c wire/wireguard.h

if HAVE_CHECK
check_PROGRAMS += \
	tests/check_cursor \
	tests/check_endpoint \
	tests/check_packet \
	tests/check_stun \
	tests/check_disco \
	tests/check_derp \
	tests/check_natpmp \
	tests/check_pcp \
	tests/check_wireguard
tests_check_cursor_SOURCES = tests/check_cursor.c
tests_check_cursor_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_endpoint_SOURCES = tests/check_endpoint.c
tests_check_endpoint_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_packet_SOURCES = tests/check_packet.c tests/hex.h
tests_check_packet_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_stun_SOURCES = tests/check_stun.c tests/hex.h
tests_check_stun_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_disco_SOURCES = tests/check_disco.c tests/hex.h tests/valgrind.h
tests_check_disco_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_derp_SOURCES = tests/check_derp.c tests/hex.h
tests_check_derp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_natpmp_SOURCES = tests/check_natpmp.c tests/hex.h
tests_check_natpmp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_pcp_SOURCES = tests/check_pcp.c tests/hex.h
tests_check_pcp_LDADD = $(wire_libs) $(CHECK_LIBS)
tests_check_wireguard_SOURCES = tests/check_wireguard.c tests/hex.h
tests_check_wireguard_LDADD = $(wire_libs) $(CHECK_LIBS)
endif

# Each fuzz target replays its corpus; it takes no fuzzer, so any compiler does.
# To fuzz one: clang -fsanitize=fuzzer,address,undefined instead of replay.c.
check_PROGRAMS += \
	tests/fuzz/replay_packet \
	tests/fuzz/replay_stun \
	tests/fuzz/replay_disco \
	tests/fuzz/replay_derp \
	tests/fuzz/replay_natpmp \
	tests/fuzz/replay_pcp \
	tests/fuzz/replay_wireguard
fuzz_driver = tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_packet_SOURCES = tests/fuzz/fuzz_packet.c $(fuzz_driver)
tests_fuzz_replay_packet_LDADD = $(wire_libs)
tests_fuzz_replay_stun_SOURCES = tests/fuzz/fuzz_stun.c $(fuzz_driver)
tests_fuzz_replay_stun_LDADD = $(wire_libs)
tests_fuzz_replay_disco_SOURCES = tests/fuzz/fuzz_disco.c $(fuzz_driver)
tests_fuzz_replay_disco_LDADD = $(wire_libs)
tests_fuzz_replay_derp_SOURCES = tests/fuzz/fuzz_derp.c $(fuzz_driver)
tests_fuzz_replay_derp_LDADD = $(wire_libs)
tests_fuzz_replay_natpmp_SOURCES = tests/fuzz/fuzz_natpmp.c $(fuzz_driver)
tests_fuzz_replay_natpmp_LDADD = $(wire_libs)
tests_fuzz_replay_pcp_SOURCES = tests/fuzz/fuzz_pcp.c $(fuzz_driver)
tests_fuzz_replay_pcp_LDADD = $(wire_libs)
tests_fuzz_replay_wireguard_SOURCES = tests/fuzz/fuzz_wireguard.c $(fuzz_driver)
tests_fuzz_replay_wireguard_LDADD = $(wire_libs)
EXTRA_DIST += tests/fuzz/corpus

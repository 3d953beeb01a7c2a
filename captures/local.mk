# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libcaptures.a
libcaptures_a_SOURCES = \
	captures/recording.c captures/recording.h \
	captures/loader.h captures/recording_pcap.c \
	captures/recording_pcapng.c \
	captures/direction.c captures/direction.h \
	captures/pcapng.c captures/pcapng.h captures/pcapng_format.h \
	captures/recorder.c captures/recorder.h \
	captures/tap.c captures/tap.h \
	captures/cast.c captures/cast.h \
	captures/stream.c captures/stream.h \
	captures/journey.c captures/journey.h \
	captures/journey_private.h captures/journey_table.c \
	captures/journey_read.c captures/journey_stream.c \
	captures/journey_chain.c captures/journey_owner.c \
	captures/journey_grant.c captures/journey_fate.c \
	captures/journey_reason.c captures/journey_text.c \
	captures/journey_tls.c captures/journey_opaque.c \
	captures/ladder.c \
	captures/order.c captures/order.h captures/order_check.c

# The witness's tests make their recordings with tests/stage.c, and what a relay
# carries with tests/pipe.c.
if HAVE_CHECK
stage = tests/stage.c tests/stage.h tests/valgrind.h
pipe = tests/pipe.c tests/pipe.h
check_PROGRAMS += \
	tests/check_cast \
	tests/check_stream \
	tests/check_journey \
	tests/check_journey_odd \
	tests/check_owner \
	tests/check_reason \
	tests/check_relayed \
	tests/check_relayed_who \
	tests/check_opaque \
	tests/check_ladder \
	tests/check_order
tests_check_cast_SOURCES = tests/check_cast.c $(stage)
tests_check_cast_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_stream_SOURCES = tests/check_stream.c
tests_check_stream_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_journey_SOURCES = tests/check_journey.c $(stage)
tests_check_journey_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_journey_odd_SOURCES = tests/check_journey_odd.c $(stage)
tests_check_journey_odd_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_owner_SOURCES = tests/check_owner.c $(stage)
tests_check_owner_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_reason_SOURCES = tests/check_reason.c $(stage)
tests_check_reason_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_relayed_SOURCES = tests/check_relayed.c $(stage) $(pipe)
tests_check_relayed_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_relayed_who_SOURCES = tests/check_relayed_who.c $(stage) $(pipe)
tests_check_relayed_who_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_opaque_SOURCES = tests/check_opaque.c $(stage) $(pipe) \
	tests/tls_pipe.c tests/tls_pipe.h
tests_check_opaque_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_ladder_SOURCES = tests/check_ladder.c $(stage)
tests_check_ladder_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_order_SOURCES = tests/check_order.c $(stage)
tests_check_order_LDADD = $(captures_libs) $(CHECK_LIBS)
endif

check_PROGRAMS += \
	tests/fuzz/replay_order \
	tests/fuzz/replay_journey
tests_fuzz_replay_order_SOURCES = tests/fuzz/fuzz_order.c $(fuzz_driver)
tests_fuzz_replay_order_LDADD = $(captures_libs)
tests_fuzz_replay_journey_SOURCES = tests/fuzz/fuzz_journey.c $(fuzz_driver)
tests_fuzz_replay_journey_LDADD = $(captures_libs)

if HAVE_CHECK
check_PROGRAMS += \
	tests/check_pcapng tests/check_recorder tests/check_recording \
	tests/check_recording_damage
tests_check_pcapng_SOURCES = tests/check_pcapng.c tests/recording_maker.h
tests_check_pcapng_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_recorder_SOURCES = tests/check_recorder.c \
	tests/recorder_cable.h tests/valgrind.h
tests_check_recorder_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_recording_SOURCES = tests/check_recording.c tests/recording_maker.h
tests_check_recording_LDADD = $(captures_libs) $(CHECK_LIBS)
tests_check_recording_damage_SOURCES = \
	tests/check_recording_damage.c tests/recording_maker.h \
	tests/valgrind.h
tests_check_recording_damage_LDADD = $(captures_libs) $(CHECK_LIBS)
endif

check_PROGRAMS += tests/fuzz/replay_recording
tests_fuzz_replay_recording_SOURCES = \
	tests/fuzz/fuzz_recording.c $(fuzz_driver)
tests_fuzz_replay_recording_LDADD = $(captures_libs)

EXTRA_DIST += tests/data

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
	captures/ladder.c \
	captures/order.c captures/order.h captures/order_check.c

# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += libcaptures.a
libcaptures_a_SOURCES = \
	captures/recording.c captures/recording.h \
	captures/pcapng.c captures/pcapng.h \
	captures/recorder.c captures/recorder.h \
	captures/cast.c captures/cast.h \
	captures/journey.c captures/journey.h \
	captures/order.c captures/order.h

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng_format: the numbers of the pcapng format that reader and writer
 * share. Private to captures/. Source: draft-ietf-opsawg-pcapng.
 */
#ifndef NATRIG_CAPTURES_PCAPNG_FORMAT_H
#define NATRIG_CAPTURES_PCAPNG_FORMAT_H

#define PCAPNG_BYTE_ORDER_MAGIC 0x1a2b3c4du

/* Type, total length, and the total length once more at the end. */
#define PCAPNG_BLOCK_MIN_BYTES 12

enum pcapng_block {
	PCAPNG_INTERFACE = 0x00000001,
	PCAPNG_OBSOLETE_PACKET = 0x00000002,
	PCAPNG_SIMPLE_PACKET = 0x00000003,
	PCAPNG_NAMES = 0x00000004,
	PCAPNG_STATISTICS = 0x00000005,
	PCAPNG_ENHANCED_PACKET = 0x00000006,
	PCAPNG_JOURNAL = 0x00000009,
	PCAPNG_SECRETS = 0x0000000a,
	PCAPNG_CUSTOM = 0x00000bad,
	PCAPNG_CUSTOM_NO_COPY = 0x40000bad,
	PCAPNG_SECTION = 0x0a0d0d0a /* the same in both byte orders */
};

enum pcapng_option {
	PCAPNG_OPT_END = 0,
	PCAPNG_OPT_COMMENT = 1,
	PCAPNG_SHB_USERAPPL = 4,
	PCAPNG_IF_NAME = 2,
	PCAPNG_IF_IPV4 = 4,
	PCAPNG_IF_MAC = 6,
	PCAPNG_IF_TSRESOL = 9,
	PCAPNG_IF_TSOFFSET = 14,
	PCAPNG_EPB_FLAGS = 2, /* pack_flags of the obsolete block, too */
	PCAPNG_ISB_IFRECV = 4,
	PCAPNG_ISB_IFDROP = 5
};

/* The two low bits of epb_flags. */
enum pcapng_direction {
	PCAPNG_DIRECTION_IN = 1,
	PCAPNG_DIRECTION_OUT = 2,
	PCAPNG_DIRECTION_MASK = 3
};

#endif

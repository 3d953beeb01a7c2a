/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/pcapng.h"

#include "captures/pcapng_format.h"
#include "wire/cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The buffer is handed to the kernel only between blocks, so the file of a
 * writer that was killed still ends with a whole block.
 */
#define BUFFER_BYTES 65536

/* An option's length field has 16 bits. */
#define OPTION_MAX_BYTES 65535

/* Head and tail of a block, fixed fields and all options but comments. */
#define BLOCK_ROOM_BYTES 256

struct pcapng {
	int fd;
	int failed; /* first error as -errno; nothing is written after it */
	unsigned interface_count;
	unsigned packet_count;
	size_t block_at_bytes; /* where the open block starts in the buffer */
	struct writer w;
};

static void fail(struct pcapng *p, int code)
{
	if (!p->failed)
		p->failed = -code;
}

static void buffer_write(struct pcapng *p)
{
	size_t done = 0;
	ssize_t n;

	while (!p->failed && done < p->w.at_bytes) {
		n = write(p->fd, p->w.data + done, p->w.at_bytes - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			fail(p, errno);
	}
	p->w.at_bytes = 0;
}

static size_t comment_room(const char *comment)
{
	size_t size = comment ? strlen(comment) : 0;

	/* Each piece costs its head and at most seven bytes of padding and
	 * of a character that would not fit. */
	return size + 16 * (size / (OPTION_MAX_BYTES - 3) + 1);
}

/* Makes room for a whole block and writes its head. */
static void block_begin(struct pcapng *p, uint32_t type, size_t room_bytes)
{
	uint8_t *more;

	if (room_bytes > p->w.size_bytes - p->w.at_bytes)
		buffer_write(p);
	if (room_bytes > p->w.size_bytes) {
		more = realloc(p->w.data, room_bytes);
		if (!more) {
			fail(p, ENOMEM);
			p->w.bad = true;
			return;
		}
		p->w = writer_over(more, room_bytes);
	}
	p->block_at_bytes = p->w.at_bytes;
	writer_u32_le(&p->w, type);
	writer_u32_le(&p->w, 0); /* block_end fills it in */
}

static void block_end(struct pcapng *p)
{
	struct writer length;
	uint32_t total;

	total = (uint32_t)(p->w.at_bytes + 4 - p->block_at_bytes);
	writer_u32_le(&p->w, total);
	if (p->w.bad) {
		fail(p, EMSGSIZE);
		return;
	}
	length = writer_over(p->w.data + p->block_at_bytes + 4, 4);
	writer_u32_le(&length, total);
}

static void put_padded(struct pcapng *p, const void *bytes, size_t size_bytes)
{
	writer_bytes(&p->w, bytes, size_bytes);
	writer_zero(&p->w, -size_bytes & 3);
}

static void put_option(struct pcapng *p, enum pcapng_option code,
		       const void *value, size_t size_bytes)
{
	writer_u16_le(&p->w, (uint16_t)code);
	writer_u16_le(&p->w, (uint16_t)size_bytes);
	put_padded(p, value, size_bytes);
}

static void put_option_u64(struct pcapng *p, enum pcapng_option code,
			   uint64_t value)
{
	writer_u16_le(&p->w, (uint16_t)code);
	writer_u16_le(&p->w, 8);
	writer_u64_le(&p->w, value);
}

static void put_options_end(struct pcapng *p)
{
	writer_u32_le(&p->w, PCAPNG_OPT_END);
}

/*
 * A comment too long for one option goes into several, which readers show one
 * after the other. It is cut between characters: each piece must be UTF-8.
 */
static void put_comment(struct pcapng *p, const char *comment)
{
	size_t left = comment ? strlen(comment) : 0;
	size_t size;

	while (left) {
		size = left < OPTION_MAX_BYTES ? left : OPTION_MAX_BYTES;
		for (int back = 0;
		     size < left && back < 3 && (comment[size] & 0xc0) == 0x80;
		     back++)
			size--;
		put_option(p, PCAPNG_OPT_COMMENT, comment, size);
		comment += size;
		left -= size;
	}
}

struct pcapng *pcapng_new(int fd, const char *comment)
{
	struct pcapng *p = calloc(1, sizeof(*p));
	uint8_t *buffer = malloc(BUFFER_BYTES);

	if (!p || !buffer) {
		free(p);
		free(buffer);
		return NULL;
	}
	p->fd = fd;
	p->w = writer_over(buffer, BUFFER_BYTES);
	block_begin(p, PCAPNG_SECTION,
		    BLOCK_ROOM_BYTES + comment_room(comment));
	writer_u32_le(&p->w, PCAPNG_BYTE_ORDER_MAGIC);
	writer_u16_le(&p->w, 1);
	writer_u16_le(&p->w, 0);
	writer_u64_le(&p->w, UINT64_MAX); /* the section's size is not told */
	put_comment(p, comment);
	put_option(p, PCAPNG_SHB_USERAPPL, "natrig", 6);
	put_options_end(p);
	block_end(p);
	return p;
}

unsigned pcapng_add_interface(struct pcapng *p, const struct vantage *v,
			      unsigned snaplen_bytes)
{
	static const uint8_t no_mac[6], nanoseconds = 9;
	uint8_t ip_and_mask[8];
	struct writer w = writer_over(ip_and_mask, sizeof(ip_and_mask));

	block_begin(p, PCAPNG_INTERFACE, BLOCK_ROOM_BYTES);
	writer_u16_le(&p->w, (uint16_t)v->link);
	writer_u16_le(&p->w, 0);
	writer_u32_le(&p->w, snaplen_bytes);
	put_option(p, PCAPNG_IF_NAME, v->name, strlen(v->name));
	/* Addresses are in network order whatever the section's is. The mask
	 * is not known here, and one host is all that is claimed. */
	writer_u32(&w, v->ip);
	writer_u32(&w, UINT32_MAX);
	if (v->ip)
		put_option(p, PCAPNG_IF_IPV4, ip_and_mask, sizeof(ip_and_mask));
	if (memcmp(v->mac, no_mac, sizeof(no_mac)))
		put_option(p, PCAPNG_IF_MAC, v->mac, sizeof(v->mac));
	put_option(p, PCAPNG_IF_TSRESOL, &nanoseconds, 1);
	put_options_end(p);
	block_end(p);
	return p->interface_count++;
}

unsigned pcapng_add_packet(struct pcapng *p, const struct frame *f,
			   const char *comment)
{
	uint32_t flags = f->direction == DIRECTION_IN	 ? PCAPNG_DIRECTION_IN
			 : f->direction == DIRECTION_OUT ? PCAPNG_DIRECTION_OUT
							 : 0;

	if (f->vantage >= p->interface_count)
		fail(p, EINVAL);
	/* Keeps the block's own length within its 32 bits. */
	if (f->captured_bytes > INT32_MAX) {
		fail(p, EMSGSIZE);
		return ++p->packet_count;
	}
	block_begin(p, PCAPNG_ENHANCED_PACKET,
		    BLOCK_ROOM_BYTES + f->captured_bytes +
			    comment_room(comment));
	writer_u32_le(&p->w, f->vantage);
	writer_u32_le(&p->w, (uint32_t)(f->time_ns >> 32));
	writer_u32_le(&p->w, (uint32_t)f->time_ns);
	writer_u32_le(&p->w, (uint32_t)f->captured_bytes);
	writer_u32_le(&p->w, (uint32_t)f->wire_bytes);
	put_padded(p, f->data, f->captured_bytes);
	put_comment(p, comment);
	if (flags) {
		writer_u16_le(&p->w, PCAPNG_EPB_FLAGS);
		writer_u16_le(&p->w, sizeof(flags));
		writer_u32_le(&p->w, flags);
	}
	if (flags || (comment && *comment))
		put_options_end(p);
	block_end(p);
	return ++p->packet_count;
}

void pcapng_add_statistics(struct pcapng *p, unsigned interface,
			   uint64_t time_ns, uint64_t received,
			   uint64_t dropped)
{
	if (interface >= p->interface_count)
		fail(p, EINVAL);
	block_begin(p, PCAPNG_STATISTICS, BLOCK_ROOM_BYTES);
	writer_u32_le(&p->w, interface);
	writer_u32_le(&p->w, (uint32_t)(time_ns >> 32));
	writer_u32_le(&p->w, (uint32_t)time_ns);
	put_option_u64(p, PCAPNG_ISB_IFRECV, received);
	put_option_u64(p, PCAPNG_ISB_IFDROP, dropped);
	put_options_end(p);
	block_end(p);
}

int pcapng_flush(struct pcapng *p)
{
	buffer_write(p);
	return p->failed;
}

int pcapng_free(struct pcapng *p)
{
	int rc;

	if (!p)
		return 0;
	rc = pcapng_flush(p);
	free(p->w.data);
	free(p);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng files: draft-ietf-opsawg-pcapng. */
#include "captures/loader.h"

#include "captures/pcapng_format.h"
#include "wire/cursor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What a section's packets need to know of an interface. */
struct interface {
	uint32_t snaplen_bytes; /* 0: no limit */
	uint8_t tsresol;	/* as in the file: top bit: power of 2 */
	int64_t tsoffset_s;
};

/* Byte order and interface numbers hold within a section. */
struct section {
	struct loader *l;
	bool little;
	size_t first_vantage;
	struct interface *interfaces;
	size_t count, room;
	unsigned number;    /* of the last packet, through all sections */
	uint64_t last_ns;   /* its time */
	bool comment_whole; /* no more of it is to come */
};

struct block {
	uint32_t type;
	size_t at_bytes; /* in the file */
	struct reader body;
};

struct option {
	uint16_t code;
	uint16_t size_bytes;
	const uint8_t *value;
};

static const struct {
	uint32_t type;
	const char *name;
} block_names[] = {
	{PCAPNG_SECTION, "section header block"},
	{PCAPNG_INTERFACE, "interface description block"},
	{PCAPNG_OBSOLETE_PACKET, "obsolete packet block"},
	{PCAPNG_SIMPLE_PACKET, "simple packet block"},
	{PCAPNG_NAMES, "name resolution block"},
	{PCAPNG_STATISTICS, "interface statistics block"},
	{PCAPNG_ENHANCED_PACKET, "enhanced packet block"},
	{PCAPNG_JOURNAL, "journal export block"},
	{PCAPNG_SECRETS, "decryption secrets block"},
	{PCAPNG_CUSTOM, "custom block"},
	{PCAPNG_CUSTOM_NO_COPY, "custom block"},
};

__attribute__((format(printf, 3, 4))) static int
bad(const struct section *s, const struct block *b, const char *format, ...)
{
	char why[256], name[32];
	const char *known = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	for (size_t i = 0; i < sizeof(block_names) / sizeof(*block_names); i++)
		if (block_names[i].type == b->type)
			known = block_names[i].name;
	snprintf(name, sizeof(name), "block of type 0x%x", b->type);
	return err_set(s->l->err, EBADMSG, "%s: %s at offset %zu: %s",
		       s->l->name, known ? known : name, b->at_bytes, why);
}

static uint16_t u16(const struct section *s, struct reader *r)
{
	return s->little ? reader_u16_le(r) : reader_u16(r);
}

static uint32_t u32(const struct section *s, struct reader *r)
{
	return s->little ? reader_u32_le(r) : reader_u32(r);
}

static uint64_t u64(const struct section *s, struct reader *r)
{
	return s->little ? reader_u64_le(r) : reader_u64(r);
}

/* 1: there is one; 0: that was all; or an error. */
static int option_next(const struct section *s, struct block *b,
		       struct option *o)
{
	if (!reader_left(&b->body))
		return 0;
	o->code = u16(s, &b->body);
	o->size_bytes = u16(s, &b->body);
	if (o->code == PCAPNG_OPT_END && !b->body.bad)
		return 0;
	o->value = reader_view(&b->body, o->size_bytes);
	reader_skip(&b->body, -(size_t)o->size_bytes & 3);
	if (b->body.bad)
		return bad(s, b, "option %u (%u bytes) does not fit into it",
			   o->code, o->size_bytes);
	return 1;
}

static int option_size(const struct section *s, const struct block *b,
		       const struct option *o, unsigned size_bytes)
{
	if (o->size_bytes == size_bytes)
		return 0;
	return bad(s, b, "option %u has %u bytes instead of %u", o->code,
		   o->size_bytes, size_bytes);
}

/* An option that holds about as much as one can: the text may go on in the
 * next, with room for the rest of a character that was not to be cut. */
#define COMMENT_FULL_BYTES (65535 - 3)

/*
 * The first comment of the first section that has one. A text too long for one
 * option comes as several; what others added as comments of their own is not
 * part of it.
 */
static int section_comment(struct section *s, const struct option *o)
{
	if (s->comment_whole)
		return 0;
	s->comment_whole = o->size_bytes < COMMENT_FULL_BYTES;
	return loader_add_comment(s->l, o->value, o->size_bytes);
}

static int read_section(struct section *s, struct block *b)
{
	struct option o;
	unsigned major;
	int more, rc = 0;

	reader_skip(&b->body, 4); /* block_open saw to the byte order */
	major = u16(s, &b->body);
	reader_skip(&b->body, 2 + 8);
	if (b->body.bad)
		return bad(s, b, "cut short");
	if (major != 1)
		return bad(s, b, "version %u of the format; 1 is known", major);
	s->comment_whole = s->l->rec->comment != NULL;
	s->first_vantage = s->l->rec->vantage_count;
	s->count = 0;
	while (!rc && (more = option_next(s, b, &o)) != 0) {
		if (more < 0)
			return more;
		if (o.code == PCAPNG_OPT_COMMENT)
			rc = section_comment(s, &o);
	}
	return rc;
}

static int interface_option(const struct section *s, const struct block *b,
			    const struct option *o, struct interface *i,
			    struct vantage *v, struct option *name)
{
	struct reader r = reader_over(o->value, o->size_bytes);
	int rc = 0;

	switch (o->code) {
	case PCAPNG_IF_NAME:
		*name = *o;
		break;
	case PCAPNG_IF_IPV4: /* and its mask, both in network order */
		rc = option_size(s, b, o, 8);
		if (!v->ip)
			v->ip = reader_u32(&r);
		break;
	case PCAPNG_IF_MAC:
		rc = option_size(s, b, o, sizeof(v->mac));
		reader_bytes(&r, v->mac, sizeof(v->mac));
		break;
	case PCAPNG_IF_TSRESOL:
		rc = option_size(s, b, o, 1);
		i->tsresol = reader_u8(&r);
		break;
	case PCAPNG_IF_TSOFFSET:
		rc = option_size(s, b, o, 8);
		i->tsoffset_s = (int64_t)u64(s, &r);
		break;
	}
	return rc;
}

static int interface_append(struct section *s, const struct interface *i)
{
	size_t room = s->room ? 2 * s->room : 16;
	struct interface *more;

	if (s->count == s->room) {
		more = reallocarray(s->interfaces, room, sizeof(*more));
		if (!more)
			return err_set(s->l->err, ENOMEM, "%s: out of memory",
				       s->l->name);
		s->interfaces = more;
		s->room = room;
	}
	s->interfaces[s->count++] = *i;
	return 0;
}

static int read_interface(struct section *s, struct block *b)
{
	struct interface i = {.tsresol = 6};
	struct vantage v = {0};
	struct option o, name = {0};
	int more, rc;

	v.link = u16(s, &b->body);
	reader_skip(&b->body, 2);
	i.snaplen_bytes = u32(s, &b->body);
	if (b->body.bad)
		return bad(s, b, "cut short");
	while ((more = option_next(s, b, &o)) > 0) {
		rc = interface_option(s, b, &o, &i, &v, &name);
		if (rc)
			return rc;
	}
	if (more < 0)
		return more;
	rc = loader_add_vantage(s->l, &v, name.value, name.size_bytes);
	return rc ? rc : interface_append(s, &i);
}

static const struct interface *
interface_of(const struct section *s, const struct block *b, uint32_t index)
{
	if (index < s->count)
		return &s->interfaces[index];
	bad(s, b, "is of interface %u, but only %zu are described before it",
	    index, s->count);
	return NULL;
}

/* The file's unit, and its offset in seconds, to ns since the epoch. */
static bool to_ns(const struct interface *i, uint64_t units, uint64_t *time_ns)
{
	unsigned exponent = i->tsresol & 0x7f;
	__int128 ns = units;

	/* Beyond these exponents all that fits into 64 bits is below 1 ns,
	 * and what is computed here would not fit into 128. */
	if (i->tsresol & 0x80) {
		ns = exponent < 95 ? ns * 1000000000 >> exponent : 0;
	} else if (exponent > 29) {
		ns = 0;
	} else {
		for (; exponent < 9; exponent++)
			ns *= 10;
		for (; exponent > 9; exponent--)
			ns /= 10;
	}
	ns += (__int128)i->tsoffset_s * 1000000000;
	*time_ns = (uint64_t)ns;
	return ns >= 0 && ns <= UINT64_MAX;
}

static int packet_add(struct section *s, const struct block *b, uint32_t index,
		      struct frame *f)
{
	f->number = ++s->number;
	f->vantage = (unsigned)(s->first_vantage + index);
	s->last_ns = f->time_ns;
	if (!f->data)
		return bad(s, b,
			   "says it holds %zu bytes of a packet, but "
			   "has not as many",
			   f->captured_bytes);
	return loader_add_frame(s->l, f);
}

static int packet_options(const struct section *s, struct block *b,
			  struct frame *f)
{
	struct option o;
	struct reader r;
	int more, rc;

	while ((more = option_next(s, b, &o)) > 0) {
		if (o.code != PCAPNG_EPB_FLAGS)
			continue;
		rc = option_size(s, b, &o, 4);
		if (rc)
			return rc;
		r = reader_over(o.value, o.size_bytes);
		switch (u32(s, &r) & PCAPNG_DIRECTION_MASK) {
		case PCAPNG_DIRECTION_IN:
			f->direction = DIRECTION_IN;
			break;
		case PCAPNG_DIRECTION_OUT:
			f->direction = DIRECTION_OUT;
			break;
		}
	}
	return more;
}

/* The enhanced and the obsolete block differ in their first eight bytes. */
static int read_packet(struct section *s, struct block *b)
{
	const struct interface *i;
	struct frame f = {0};
	uint32_t index;
	uint64_t units;
	int rc;

	if (b->type == PCAPNG_ENHANCED_PACKET) {
		index = u32(s, &b->body);
	} else {
		index = u16(s, &b->body);
		reader_skip(&b->body, 2); /* how many were dropped before it */
	}
	units = (uint64_t)u32(s, &b->body) << 32;
	units |= u32(s, &b->body);
	f.captured_bytes = u32(s, &b->body);
	f.wire_bytes = u32(s, &b->body);
	if (b->body.bad)
		return bad(s, b, "cut short");
	i = interface_of(s, b, index);
	if (!i)
		return -EBADMSG;
	if (!to_ns(i, units, &f.time_ns))
		return bad(s, b, "its time is not within 1970 to 2554");
	f.data = reader_view(&b->body, f.captured_bytes);
	if (f.data) {
		reader_skip(&b->body, -f.captured_bytes & 3);
		rc = packet_options(s, b, &f);
		if (rc)
			return rc;
	}
	return packet_add(s, b, index, &f);
}

/*
 * A simple packet is of the section's first interface and has no time: it gets
 * that of the packet before it, which leaves it where it stands in the file.
 */
static int read_simple_packet(struct section *s, struct block *b)
{
	const struct interface *i = interface_of(s, b, 0);
	struct frame f = {.time_ns = s->last_ns};

	if (!i)
		return -EBADMSG;
	f.wire_bytes = u32(s, &b->body);
	if (b->body.bad)
		return bad(s, b, "cut short");
	f.captured_bytes = f.wire_bytes;
	if (i->snaplen_bytes && i->snaplen_bytes < f.captured_bytes)
		f.captured_bytes = i->snaplen_bytes;
	f.data = reader_view(&b->body, f.captured_bytes);
	return packet_add(s, b, 0, &f);
}

static int read_statistics(struct section *s, struct block *b)
{
	uint32_t index = u32(s, &b->body);
	struct vantage *v;
	struct option o;
	struct reader r;
	int more, rc;

	reader_skip(&b->body, 8); /* when they were taken */
	if (b->body.bad)
		return bad(s, b, "cut short");
	if (!interface_of(s, b, index))
		return -EBADMSG;
	v = &s->l->rec->vantages[s->first_vantage + index];
	while ((more = option_next(s, b, &o)) > 0) {
		if (o.code != PCAPNG_ISB_IFDROP)
			continue;
		rc = option_size(s, b, &o, 8);
		if (rc)
			return rc;
		r = reader_over(o.value, o.size_bytes);
		v->dropped = u64(s, &r);
	}
	return more;
}

static int read_block(struct section *s, struct block *b)
{
	switch (b->type) {
	case PCAPNG_SECTION:
		return read_section(s, b);
	case PCAPNG_INTERFACE:
		return read_interface(s, b);
	case PCAPNG_ENHANCED_PACKET:
	case PCAPNG_OBSOLETE_PACKET:
		return read_packet(s, b);
	case PCAPNG_SIMPLE_PACKET:
		return read_simple_packet(s, b);
	case PCAPNG_STATISTICS:
		return read_statistics(s, b);
	case PCAPNG_JOURNAL:
	case PCAPNG_CUSTOM:
	case PCAPNG_CUSTOM_NO_COPY:
		/* No packets, but Wireshark counts them as if they were. */
		s->number++;
		return 0;
	}
	return 0; /* what is not known is skipped, as the format asks */
}

/* A section header says in what byte order its own length is to be read. */
static int byte_order(struct section *s, const struct block *b, struct reader r)
{
	uint32_t magic;

	reader_skip(&r, 4);
	magic = reader_u32(&r);
	s->little = magic != PCAPNG_BYTE_ORDER_MAGIC;
	if (magic != PCAPNG_BYTE_ORDER_MAGIC &&
	    magic != __builtin_bswap32(PCAPNG_BYTE_ORDER_MAGIC))
		return bad(s, b, "its byte-order magic is 0x%08x", magic);
	return 0;
}

/* Reads a block's head and tail and moves R behind it. */
static int block_open(struct section *s, struct reader *r, struct block *b)
{
	size_t left = reader_left(r);
	uint32_t total, again;
	struct reader tail;

	*b = (struct block){.at_bytes = r->at_bytes};
	if (left < PCAPNG_BLOCK_MIN_BYTES)
		return bad(s, b, "cut short: %zu bytes are no block", left);
	b->type = u32(s, r);
	if (b->type == PCAPNG_SECTION && byte_order(s, b, *r))
		return -EBADMSG;
	total = u32(s, r);
	if (total < PCAPNG_BLOCK_MIN_BYTES || total % 4)
		return bad(s, b, "says it has %u bytes: no block can", total);
	if (total > left)
		return bad(s, b,
			   "cut short: says it has %u bytes, the file "
			   "has %zu",
			   total, left);
	b->body = reader_over(reader_view(r, total - PCAPNG_BLOCK_MIN_BYTES),
			      total - PCAPNG_BLOCK_MIN_BYTES);
	tail = *r;
	again = u32(s, &tail);
	if (again != total)
		return bad(s, b, "says it has %u bytes, and %u at its end",
			   total, again);
	reader_skip(r, 4);
	return 0;
}

bool loader_is_pcapng(const struct recording *rec)
{
	struct reader r = reader_over(rec->bytes, rec->bytes_size);

	return reader_u32(&r) == PCAPNG_SECTION && !r.bad;
}

int loader_read_pcapng(struct loader *l)
{
	struct reader r = reader_over(l->rec->bytes, l->rec->bytes_size);
	struct section s = {.l = l};
	struct block b;
	int rc = 0;

	while (!rc && reader_left(&r)) {
		rc = block_open(&s, &r, &b);
		if (!rc)
			rc = read_block(&s, &b);
	}
	free(s.interfaces);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Classic pcap files: draft-ietf-opsawg-pcap. */
#include "captures/loader.h"

#include "wire/cursor.h"

#include <errno.h>
#include <string.h>

#define FILE_HEADER_BYTES 24
#define RECORD_HEADER_BYTES 16

struct variant {
	uint32_t magic; /* as big-endian reading finds it */
	bool little;
	unsigned fraction_ns; /* of the timestamps' second field */
};

static const struct variant variants[] = {
	{0xa1b2c3d4, false, 1000},
	{0xa1b23c4d, false, 1},
	{0xd4c3b2a1, true, 1000},
	{0x4d3cb2a1, true, 1},
};

static const struct variant *variant_of(const struct recording *rec)
{
	struct reader r = reader_over(rec->bytes, rec->bytes_size);
	uint32_t magic = reader_u32(&r);

	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
		if (!r.bad && variants[i].magic == magic)
			return &variants[i];
	return NULL;
}

bool loader_is_pcap(const struct recording *rec)
{
	return variant_of(rec) != NULL;
}

static uint32_t u32(struct reader *r, const struct variant *variant)
{
	return variant->little ? reader_u32_le(r) : reader_u32(r);
}

/* The vantage is the file: "dir/home-a.wan.pcap" is home-a.wan. */
static int add_vantage(struct loader *l, uint32_t link)
{
	/* The upper bits tell of a checksum behind each frame. */
	struct vantage v = {.link = link & 0xffff};
	const char *slash = strrchr(l->name, '/');
	const char *base = slash ? slash + 1 : l->name;
	size_t len = strlen(base);

	if (len > 5 && !strcmp(base + len - 5, ".pcap"))
		len -= 5;
	return loader_add_vantage(l, &v, base, len);
}

static int read_record(struct loader *l, const struct variant *variant,
		       struct reader *r)
{
	size_t at = r->at_bytes;
	struct frame f = {.number = (unsigned)l->rec->frame_count + 1};

	f.time_ns = u32(r, variant) * 1000000000ull;
	f.time_ns += (uint64_t)u32(r, variant) * variant->fraction_ns;
	f.captured_bytes = u32(r, variant);
	f.wire_bytes = u32(r, variant);
	if (r->bad)
		return err_set(l->err, EBADMSG,
			       "%s: packet record at offset %zu: cut short: "
			       "%zu of %d header bytes",
			       l->name, at, r->size_bytes - at,
			       RECORD_HEADER_BYTES);
	f.data = reader_view(r, f.captured_bytes);
	if (!f.data)
		return err_set(l->err, EBADMSG,
			       "%s: packet record at offset %zu: says %zu "
			       "bytes follow, the file has %zu",
			       l->name, at, f.captured_bytes,
			       r->size_bytes - at - RECORD_HEADER_BYTES);
	return loader_add_frame(l, &f);
}

int loader_read_pcap(struct loader *l)
{
	const struct variant *variant = variant_of(l->rec);
	struct reader r = reader_over(l->rec->bytes, l->rec->bytes_size);
	uint32_t link;
	int rc;

	reader_skip(&r, FILE_HEADER_BYTES - 4);
	link = u32(&r, variant);
	if (r.bad)
		return err_set(l->err, EBADMSG,
			       "%s: pcap file header at offset 0: cut short: "
			       "%zu of %d bytes",
			       l->name, l->rec->bytes_size, FILE_HEADER_BYTES);
	rc = add_vantage(l, link);
	while (!rc && reader_left(&r))
		rc = read_record(l, variant, &r);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files, as recording_read finds them. */
#include <stdlib.h>

#include "captures/recording.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct recording *rec;
	struct err err;
	unsigned sum = 0;

	if (recording_parse(data, size_bytes, "fuzz", &rec, &err))
		return 0;
	for (size_t i = 0; i < rec->frame_count; i++) {
		const struct frame *f = &rec->frames[i];

		if (f->vantage >= rec->vantage_count ||
		    (i && rec->frames[i - 1].time_ns > f->time_ns))
			abort();
		/* A frame that points outside of the file is a crash here. */
		for (size_t n = 0; n < f->captured_bytes; n++)
			sum += f->data[n];
	}
	recording_free(rec);
	/* Never true; keeps the reads above. */
	return sum == UINT32_MAX && size_bytes < 1024 ? -1 : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files, as recording_read finds them. */
#include "captures/recording.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording *rec;
	const struct frame *f;
	struct err err;
	unsigned sum = 0;

	if (recording_parse(data, size, "fuzz", &rec, &err) != 0)
		return 0;
	for (size_t i = 0; i < rec->frame_count; i++) {
		f = &rec->frames[i];
		FUZZ_HOLDS(f->vantage < rec->vantage_count);
		FUZZ_HOLDS(!i || rec->frames[i - 1].time_ns <= f->time_ns);
		/* A sanitizer sees what points outside of the file. */
		for (size_t n = 0; n < f->captured_bytes; n++)
			sum += f->data[n];
	}
	/* Of at most 255 a byte: it is there so that the bytes are read. */
	FUZZ_HOLDS(sum <= 255 * size * (rec->frame_count + 1));
	recording_free(rec);
	return 0;
}

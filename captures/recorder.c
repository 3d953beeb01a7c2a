/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/recorder.h"

#include "captures/direction.h"
#include "captures/pcapng.h"
#include "captures/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/*
 * What all rings take together. libpcap maps them whole, so all of it counts
 * as ours from the start. Each vantage gets its share, but no more than holds
 * 512 frames (a burst the drivers never send between two drains) and no less
 * than holds 48.
 */
#define RINGS_BYTES (20 * 1024 * 1024)
#define RING_MAX_BYTES (512 * TAP_SLOT_BYTES)
#define RING_MIN_BYTES (48 * TAP_SLOT_BYTES)
/* Where nobody waits for the recorder, all of that so many times. */
#define BURSTS 8

/* Frames a handle may give in one pass: more than any ring holds. */
#define PASS_FRAMES 5000
/* A call ends with a pass that finds nothing, or, where packets come faster
 * than that, when it has this many frames (and has made a few passes). */
#define BATCH_FRAMES 4096
#define FEW_PASSES 3
/* Calls of recorder_finish; beyond it something sends without end. */
#define MAX_LAST_DRAINS 256
/* A batch's memory is kept for the next one up to this size. */
#define KEEP_BYTES (1024 * 1024)

/* A frame taken from its ring and not yet written. */
struct taken {
	uint64_t time_ns;
	size_t at_bytes; /* in the batch's bytes */
	uint32_t captured_bytes;
	uint32_t wire_bytes;
	unsigned vantage;
	unsigned sequence; /* as taken; decides between equal times */
};

/* The frames of one recorder_drain. */
struct batch {
	struct taken *taken;
	size_t count, room;
	uint8_t *bytes;
	size_t used_bytes, room_bytes;
	bool no_memory; /* a frame was lost for want of it */
};

struct recorder {
	struct pcapng *file;
	struct tap *taps;
	size_t tap_count, tap_room;
	int epoll_fd;
	struct epoll_event *events; /* one for each tap */
	struct batch batch;
	uint64_t written;
	uint64_t last_ns; /* of the frame written last */
	bool bursts;
};

struct recorder *recorder_new(int fd, const char *comment)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->file = pcapng_new(fd, comment);
	if (r->epoll_fd < 0 || !r->file) {
		recorder_close(r);
		return NULL;
	}
	return r;
}

int recorder_add(struct recorder *r, int ns_fd, const struct vantage *v)
{
	size_t room = r->tap_room ? 2 * r->tap_room : 16;
	struct tap *more = r->taps;

	if (r->tap_count == r->tap_room) {
		more = realloc(r->taps, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->taps = more;
		r->tap_room = room;
	}
	r->taps[r->tap_count] =
		(struct tap){.vantage = *v, .ns_fd = ns_fd, .fd = -1};
	return (int)r->tap_count++;
}

static int ring_bytes(const struct recorder *r)
{
	size_t share = RINGS_BYTES / (r->tap_count ? r->tap_count : 1);
	size_t times = r->bursts ? BURSTS : 1;

	if (share > RING_MAX_BYTES)
		share = RING_MAX_BYTES;
	if (share < RING_MIN_BYTES)
		share = RING_MIN_BYTES;
	return (int)(share * times);
}

void recorder_expect_bursts(struct recorder *r)
{
	r->bursts = true;
}

int recorder_open(struct recorder *r, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc;

	r->events = calloc(r->tap_count ? r->tap_count : 1, sizeof(event));
	if (!r->events)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < r->tap_count; i++)
		r->taps[i].ring_bytes = ring_bytes(r);
	rc = taps_open(r->taps, r->tap_count, err);
	for (size_t i = 0; i < r->tap_count && !rc; i++) {
		event.data.u64 = i;
		if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->taps[i].fd,
			      &event) < 0)
			rc = err_set(err, errno, "%s: epoll: %s",
				     r->taps[i].vantage.name, strerror(errno));
		pcapng_add_interface(r->file, &r->taps[i].vantage,
				     TAP_SNAPLEN_BYTES);
	}
	if (rc)
		taps_close(r->taps, r->tap_count);
	return rc;
}

int recorder_fd(const struct recorder *r)
{
	return r->epoll_fd;
}

const struct vantage *recorder_vantage(const struct recorder *r, unsigned index)
{
	return index < r->tap_count ? &r->taps[index].vantage : NULL;
}

static bool batch_room(struct batch *b, size_t size_bytes)
{
	size_t room = b->room ? 2 * b->room : 256;
	size_t room_bytes = b->room_bytes ? b->room_bytes : 65536;
	struct taken *taken;
	uint8_t *bytes;

	if (b->count == b->room) {
		taken = realloc(b->taken, room * sizeof(*taken));
		if (!taken)
			return false;
		b->taken = taken;
		b->room = room;
	}
	if (size_bytes <= b->room_bytes - b->used_bytes)
		return true;
	while (size_bytes > room_bytes - b->used_bytes)
		room_bytes *= 2;
	bytes = realloc(b->bytes, room_bytes);
	if (!bytes)
		return false;
	b->bytes = bytes;
	b->room_bytes = room_bytes;
	return true;
}

static void batch_empty(struct batch *b)
{
	b->count = 0;
	b->used_bytes = 0;
	b->no_memory = false;
	if (b->room_bytes > KEEP_BYTES) {
		free(b->bytes);
		free(b->taken);
		*b = (struct batch){0};
	}
}

/* What libpcap's callback needs to know. */
struct pass {
	struct batch *batch;
	int64_t offset_ns;
	unsigned vantage;
};

/* Copies: libpcap gives the slot back to the kernel when this returns. */
static void take(u_char *arg, const struct pcap_pkthdr *header,
		 const u_char *data)
{
	struct pass *pass = (struct pass *)(void *)arg;
	struct batch *b = pass->batch;
	int64_t ns;

	if (!batch_room(b, header->caplen)) {
		b->no_memory = true;
		return;
	}
	/* Nanoseconds were asked for: tv_usec holds them. */
	ns = (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec;
	b->taken[b->count] = (struct taken){
		.time_ns = (uint64_t)(ns + pass->offset_ns),
		.at_bytes = b->used_bytes,
		.captured_bytes = header->caplen,
		.wire_bytes = header->len,
		.vantage = pass->vantage,
		.sequence = (unsigned)b->count,
	};
	memcpy(b->bytes + b->used_bytes, data, header->caplen);
	b->used_bytes += header->caplen;
	b->count++;
}

static int tap_take(struct recorder *r, size_t index, int64_t offset_ns,
		    struct err *err)
{
	struct pass pass = {&r->batch, offset_ns, (unsigned)index};
	const struct tap *tap = &r->taps[index];
	int rc;

	rc = pcap_dispatch(tap->pcap, PASS_FRAMES, take,
			   (u_char *)(void *)&pass);
	return rc < 0 ? tap_lost(tap, err) : 0;
}

/* Takes what is there at every tap; the number of frames or an error. */
static int pass_over_taps(struct recorder *r, int64_t offset_ns,
			  struct err *err)
{
	size_t before = r->batch.count;
	int ready, rc = 0, first = 0;

	if (!r->tap_count)
		return 0;
	ready = epoll_wait(r->epoll_fd, r->events, (int)r->tap_count, 0);
	if (ready < 0 && errno == EINTR)
		return 0;
	if (ready < 0)
		return err_set(err, errno, "epoll: %s", strerror(errno));
	for (int i = 0; i < ready; i++) {
		rc = tap_take(r, r->events[i].data.u64, offset_ns,
			      first ? NULL : err);
		first = first ? first : rc;
	}
	return first ? first : (int)(r->batch.count - before);
}

static int compare_taken(const void *a, const void *b)
{
	const struct taken *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->sequence < right->sequence
		       ? -1
		       : left->sequence > right->sequence;
}

static void batch_sort(struct batch *b)
{
	size_t i = 1;

	while (i < b->count && b->taken[i - 1].time_ns <= b->taken[i].time_ns)
		i++;
	if (i < b->count)
		qsort(b->taken, b->count, sizeof(*b->taken), compare_taken);
}

static void batch_deliver(struct recorder *r, recorder_frame_fn *fn, void *arg)
{
	struct batch *b = &r->batch;
	struct taken *t;
	struct frame f;

	batch_sort(b);
	for (size_t i = 0; i < b->count; i++) {
		t = &b->taken[i];
		f = (struct frame){
			.time_ns = t->time_ns,
			.vantage = t->vantage,
			.data = b->bytes + t->at_bytes,
			.captured_bytes = t->captured_bytes,
			.wire_bytes = t->wire_bytes,
		};
		f.direction = direction_of(&r->taps[t->vantage].vantage, &f);
		/* Written first: that gives it the number it has in the file,
		 * by which those who hear it may name it. */
		f.number = pcapng_add_packet(r->file, &f, NULL);
		r->last_ns = f.time_ns;
		if (fn)
			fn(arg, &f);
	}
	r->written += b->count;
}

/*
 * When can no earlier frame come any more? A frame is in its ring when its
 * time has been taken, give or take the moment the kernel needs to put it
 * there. So when a pass over all rings begins after frame F's time, all frames
 * older than F are there, and when the pass has ended they have been taken.
 * Hence passes are made until one finds nothing: it began after the time of
 * every frame taken before it, and took none that would have to go in front.
 * No clock needs to be read for that, and nothing is held back to the next
 * call, so that a frame has its number in the file when it is heard.
 *
 * That moment is nothing as long as who sends is who drains: the model
 * clients. With senders on other CPUs one frame in 10,000, and in a flood of
 * them one in 600, was measured to come some microseconds too late for its
 * place in the file: the reader of a recording sorts.
 */
int recorder_drain(struct recorder *r, int64_t offset_ns, recorder_frame_fn *fn,
		   void *arg, struct err *err)
{
	int rc = 1, count;

	for (int i = 0;
	     rc > 0 && (i < FEW_PASSES || r->batch.count < BATCH_FRAMES); i++)
		rc = pass_over_taps(r, offset_ns, err);
	batch_deliver(r, fn, arg);
	count = (int)r->batch.count;
	if (rc >= 0 && r->batch.no_memory)
		rc = err_set(err, ENOMEM, "out of memory for recorded frames");
	batch_empty(&r->batch);
	return rc < 0 ? rc : count;
}

static void tap_stats(struct tap *tap, struct recorder_stats *stats)
{
	struct pcap_stat stat = {0};

	/* Of what the kernel counts as received, some was dropped. */
	if (tap->pcap && !pcap_stats(tap->pcap, &stat)) {
		stats->received += stat.ps_recv;
		stats->dropped += stat.ps_drop;
	}
}

void recorder_stats(struct recorder *r, struct recorder_stats *stats)
{
	*stats = (struct recorder_stats){.written = r->written};
	for (size_t i = 0; i < r->tap_count; i++)
		tap_stats(&r->taps[i], stats);
}

int recorder_finish(struct recorder *r, int64_t offset_ns,
		    recorder_frame_fn *fn, void *arg,
		    struct recorder_stats *stats, struct err *err)
{
	struct recorder_stats total = {0}, before;
	int rc = 1, written;

	for (int i = 0; i < MAX_LAST_DRAINS && rc > 0; i++)
		rc = recorder_drain(r, offset_ns, fn, arg, err);
	for (size_t i = 0; i < r->tap_count; i++) {
		before = total;
		tap_stats(&r->taps[i], &total);
		pcapng_add_statistics(r->file, (unsigned)i, r->last_ns,
				      total.received - before.received,
				      total.dropped - before.dropped);
	}
	total.written = r->written;
	if (stats)
		*stats = total;
	written = pcapng_flush(r->file);
	if (rc < 0)
		return rc;
	return written ? err_set(err, -written,
				 "cannot write the recording: %s",
				 strerror(-written))
		       : 0;
}

static void recorder_free(struct recorder *r)
{
	pcapng_free(r->file);
	free(r->batch.taken);
	free(r->batch.bytes);
	free(r->events);
	free(r->taps);
	free(r);
}

/* First the epoll set goes, so that no closing handle has to leave it. */
static void stop_listening(struct recorder *r)
{
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	stop_listening(r);
	taps_close(r->taps, r->tap_count);
	recorder_free(r);
}

void recorder_close_behind(struct recorder *r)
{
	if (!r)
		return;
	stop_listening(r);
	taps_close_behind(r->taps, r->tap_count);
	recorder_free(r);
}

void recorder_wait_closed(void)
{
	taps_wait_closed();
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/recording.h"

#include "captures/direction.h"
#include "captures/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More interfaces than any capture has; less than a hostile file could ask
 * for. */
#define MAX_VANTAGES 65536

/* More than this is read from no file: frames would not fit beside it. */
#define MAX_FILE_BYTES (4ull << 30)

/* Room for one more in an array that doubles. */
static int grow(void **array, size_t count, size_t *room, size_t element_bytes)
{
	size_t more = *room ? 2 * *room : 16;
	void *p;

	if (count < *room)
		return 0;
	p = reallocarray(*array, more, element_bytes);
	if (!p)
		return -ENOMEM;
	*array = p;
	*room = more;
	return 0;
}

static int no_memory(struct loader *l)
{
	return err_set(l->err, ENOMEM, "%s: out of memory", l->name);
}

/* A name from a file ends up on a terminal: it may not steer that. */
static void name_copy(char *to, size_t room, const uint8_t *from, size_t bytes)
{
	size_t i;

	for (i = 0; i + 1 < room && i < bytes && from[i]; i++)
		to[i] = from[i] < 32 || from[i] == 127 ? '?' : (char)from[i];
	to[i] = '\0';
}

/* "home-a.wan" is the interface wan of the node home-a. */
static void name_split(struct vantage *v)
{
	const char *dot = strrchr(v->name, '.');
	size_t node_len = dot ? (size_t)(dot - v->name) : strlen(v->name);

	snprintf(v->node, sizeof(v->node), "%.*s", (int)node_len, v->name);
	snprintf(v->interface, sizeof(v->interface), "%s", dot ? dot + 1 : "");
}

int loader_add_vantage(struct loader *l, const struct vantage *v,
		       const void *name, size_t name_bytes)
{
	struct recording *rec = l->rec;
	struct vantage *to;

	if (rec->vantage_count == MAX_VANTAGES)
		return err_set(l->err, E2BIG, "%s: more than %d interfaces",
			       l->name, MAX_VANTAGES);
	if (grow((void **)&rec->vantages, rec->vantage_count, &l->vantage_room,
		 sizeof(*rec->vantages)))
		return no_memory(l);
	to = &rec->vantages[rec->vantage_count];
	*to = *v;
	name_copy(to->name, sizeof(to->name), name, name_bytes);
	if (!*to->name)
		snprintf(to->name, sizeof(to->name), "if%zu",
			 rec->vantage_count);
	name_split(to);
	rec->vantage_count++;
	return 0;
}

int loader_add_frame(struct loader *l, const struct frame *f)
{
	struct recording *rec = l->rec;

	if (grow((void **)&rec->frames, rec->frame_count, &l->frame_room,
		 sizeof(*rec->frames)))
		return no_memory(l);
	rec->frames[rec->frame_count++] = *f;
	return 0;
}

int loader_add_comment(struct loader *l, const void *text, size_t bytes)
{
	char *comment = realloc(l->rec->comment, l->comment_bytes + bytes + 1);

	if (!comment)
		return no_memory(l);
	l->rec->comment = comment;
	if (bytes)
		memcpy(comment + l->comment_bytes, text, bytes);
	l->comment_bytes += bytes;
	comment[l->comment_bytes] = '\0';
	return 0;
}

static int compare_frames(const void *a, const void *b)
{
	const struct frame *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

static void frames_sort(struct recording *rec)
{
	size_t i = 1;

	while (i < rec->frame_count &&
	       rec->frames[i - 1].time_ns <= rec->frames[i].time_ns)
		i++;
	if (i < rec->frame_count)
		qsort(rec->frames, rec->frame_count, sizeof(*rec->frames),
		      compare_frames);
}

static void frames_direct(struct recording *rec)
{
	struct frame *f;

	for (size_t i = 0; i < rec->frame_count; i++) {
		f = &rec->frames[i];
		if (f->direction == DIRECTION_UNKNOWN)
			f->direction =
				direction_of(&rec->vantages[f->vantage], f);
	}
}

static int not_a_recording(struct loader *l)
{
	const struct recording *rec = l->rec;

	if (!rec->bytes_size)
		return err_set(l->err, EBADMSG, "%s: the file is empty",
			       l->name);
	if (rec->bytes_size >= 2 && !memcmp(rec->bytes, "\x1f\x8b", 2))
		return err_set(l->err, EBADMSG,
			       "%s: compressed: unpack it with gunzip first",
			       l->name);
	return err_set(l->err, EBADMSG,
		       "%s: no pcapng and no pcap file: neither's magic number "
		       "is at offset 0",
		       l->name);
}

/* Takes BYTES over, which are malloc'd. */
static int parse(uint8_t *bytes, size_t size_bytes, const char *name,
		 struct recording **rec, struct err *err)
{
	struct loader l = {.name = name, .err = err};
	int rc;

	*rec = NULL;
	l.rec = calloc(1, sizeof(*l.rec));
	if (!l.rec) {
		free(bytes);
		return no_memory(&l);
	}
	l.rec->bytes = bytes;
	l.rec->bytes_size = size_bytes;
	if (loader_is_pcapng(l.rec))
		rc = loader_read_pcapng(&l);
	else if (loader_is_pcap(l.rec))
		rc = loader_read_pcap(&l);
	else
		rc = not_a_recording(&l);
	if (rc) {
		recording_free(l.rec);
		return rc;
	}
	frames_sort(l.rec);
	frames_direct(l.rec);
	*rec = l.rec;
	return 0;
}

int recording_parse(const void *bytes, size_t size_bytes, const char *name,
		    struct recording **rec, struct err *err)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

	*rec = NULL;
	if (!copy)
		return err_set(err, ENOMEM, "%s: out of memory", name);
	if (size_bytes)
		memcpy(copy, bytes, size_bytes);
	return parse(copy, size_bytes, name, rec, err);
}

/* One read of a file (from its start) or a pipe (from where it is). */
static ssize_t read_some(int fd, bool seekable, uint8_t *to, size_t room,
			 size_t at_bytes)
{
	ssize_t n;

	do {
		n = seekable ? pread(fd, to, room, (off_t)at_bytes)
			     : read(fd, to, room);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* *BYTES is the caller's to free, whatever comes of it. */
static int read_all(int fd, uint8_t **bytes, size_t *size_bytes)
{
	bool seekable = lseek(fd, 0, SEEK_CUR) >= 0;
	size_t room = 0, next = 65536;
	struct stat st;
	uint8_t *more;
	ssize_t n = 1;

	/* A byte more than the file has, so that its end is seen at once. */
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    (uint64_t)st.st_size < MAX_FILE_BYTES)
		next = (size_t)st.st_size + 1;
	while (n > 0) {
		if (*size_bytes > MAX_FILE_BYTES)
			return -EFBIG;
		if (*size_bytes == room) {
			more = realloc(*bytes, next);
			if (!more)
				return -ENOMEM;
			*bytes = more;
			room = next;
			next = 2 * room;
		}
		n = read_some(fd, seekable, *bytes + *size_bytes,
			      room - *size_bytes, *size_bytes);
		*size_bytes += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? -errno : 0;
}

/*
 * Reads the whole file rather than mapping it: a file that shrinks while it
 * is mapped kills its reader with SIGBUS.
 */
int recording_read_fd(int fd, const char *name, struct recording **rec,
		      struct err *err)
{
	size_t size_bytes = 0;
	uint8_t *bytes = NULL;
	int rc;

	*rec = NULL;
	rc = read_all(fd, &bytes, &size_bytes);
	if (rc) {
		free(bytes);
		return err_set(err, -rc, "%s: %s", name, strerror(-rc));
	}
	return parse(bytes, size_bytes, name, rec, err);
}

int recording_read(const char *path, struct recording **rec, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	*rec = NULL;
	if (fd < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	rc = recording_read_fd(fd, path, rec, err);
	close(fd);
	return rc;
}

void recording_free(struct recording *rec)
{
	if (!rec)
		return;
	free(rec->vantages);
	free(rec->frames);
	free(rec->comment);
	free(rec->bytes);
	free(rec);
}

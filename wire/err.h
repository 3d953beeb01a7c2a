/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * err: what went wrong, in words a user can act on.
 *
 * The caller owns a struct err (on its stack, usually) and hands it down;
 * library code fills it and returns a negative errno. Nothing below the
 * program's own main and report writers prints.
 */
#ifndef NATRIG_WIRE_ERR_H
#define NATRIG_WIRE_ERR_H

struct err {
	char text[512];	 /* what was asked, what was found, what to do */
	char file[256];	 /* "" where no file is to blame */
	unsigned line;	 /* from 1; 0: unknown */
	unsigned column; /* from 1; 0: unknown */
};

/*
 * Writes the text (and leaves file, line and column alone). CODE is a positive
 * errno; returns -CODE, so that `return err_set(err, EINVAL, ...)` reads well.
 * ERR may be NULL.
 */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with a place in a file. */
int err_at(struct err *err, int code, const char *file, unsigned line,
	   unsigned column, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * adapter: one call of a real client's program: a verb in the environment, its
 * parameters beside it, JSON on its output, an object a line. The contract is
 * clients/README.md.
 *
 *   adapter_start -> adapter_read ... -> adapter_free
 *
 * The program and all that it starts are a session of their own, and end with
 * the adapter. Whatever it says on standard error goes to LOG_FD.
 */
#ifndef NATRIG_HARNESS_ADAPTER_H
#define NATRIG_HARNESS_ADAPTER_H

#include "harness/clients.h"
#include "harness/environment.h"

#include <jansson.h>
#include <stdint.h>

struct adapter;

/*
 * Starts KIND's program for VERB in the calling thread's network namespace, in
 * natrig's own environment (less NATRIG_*) and ENV. LOG_FD -1: /dev/null.
 */
int adapter_start(const struct clients_kind *kind, const char *verb,
		  const struct environment *env, int log_fd,
		  struct adapter **adapter, struct err *err);
/* Ends the whole session at once; NULL is legal. */
void adapter_free(struct adapter *a);

/* Readable when there is something to be read; non-blocking. */
int adapter_fd(const struct adapter *a);
/*
 * The next object of its output: 1 (*LINE is the caller's to decref), 0: none
 * yet, -EPIPE: its output has ended; -EBADMSG: a line that is no JSON object.
 */
int adapter_read(struct adapter *a, json_t **line, struct err *err);
/* Whether it has ended; *STATUS then as a shell has it. */
bool adapter_ended(struct adapter *a, int *status);

/*
 * From start to end, LIMIT_MS at most: the last object that it printed.
 * Exit status other than 0: -EPROTO, with what it said of it ("error" in its
 * last object).
 */
int adapter_call(const struct clients_kind *kind, const char *verb,
		 const struct environment *env, int log_fd, unsigned limit_ms,
		 json_t **answer, struct err *err);

/* The end of what a program said, in a log, as one line; returns TEXT. */
const char *adapter_last_words(int log_fd, char *text, size_t size);

/*
 * Whether VERSION of KIND ("": its own choice) can run on this machine, as its
 * verb `version` says: 0, and *ANSWER (may be NULL) what it printed, the
 * caller's to decref; -ENOENT where something is missing: err says what, and
 * how to get it.
 */
int adapter_available(const struct clients_kind *kind, const char *version,
		      json_t **answer, struct err *err);

#endif

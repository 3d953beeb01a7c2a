/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clients: the real clients that natrig can run on a lab's hosts. Each is a
 * folder with a manifest, client.json, and a program; clients/README.md is the
 * contract between natrig and them. The built-in model is none of them.
 *
 * Folders are looked for, the first of a name wins, in
 *   $NATRIG_CLIENTS (a colon-separated list), $XDG_DATA_HOME/natrig/clients,
 *   clients/ beside the natrig program, and the installation's own.
 */
#ifndef NATRIG_HARNESS_CLIENTS_H
#define NATRIG_HARNESS_CLIENTS_H

#include "wire/err.h"

#include <stdbool.h>
#include <stddef.h>

#define CLIENTS_MODEL "model"
#define CLIENTS_MAX 32
#define CLIENTS_MAX_INSTALL 8
#define CLIENTS_NAME_BYTES 64
#define CLIENTS_MAX_OPTIONS 8
#define CLIENTS_MAX_VALUES 8
#define CLIENTS_WORD_BYTES 32

/* A server of the lab that a client brings itself, as a bit. */
enum { CLIENTS_CONTROL = 1, CLIENTS_RELAY = 2, CLIENTS_STUN = 4 };

/* What a scenario may choose of a client: one of VALUES, else the first. */
struct clients_option {
	char name[CLIENTS_WORD_BYTES];
	char values[CLIENTS_MAX_VALUES][CLIENTS_WORD_BYTES];
	unsigned value_count;
};

struct clients_kind {
	char name[CLIENTS_NAME_BYTES]; /* of the folder */
	char title[160];
	char program[1024]; /* absolute */
	char version[64];   /* what runs where none is named; "": its choice */
	unsigned serves;    /* CLIENTS_* */
	char cipher[32];    /* "wireguard", "nebula": the tunnel's protocol */
	/* What `natrig client install NAME` of it may name. */
	char install[CLIENTS_MAX_INSTALL][CLIENTS_NAME_BYTES];
	unsigned install_count;
	struct clients_option options[CLIENTS_MAX_OPTIONS];
	unsigned option_count;
};

/*
 * All that are there, by name, into KINDS; the number, or a negative errno
 * where a manifest is broken (err says where). A folder without a manifest is
 * no client.
 */
int clients_list(struct clients_kind kinds[static CLIENTS_MAX],
		 struct err *err);

/* Their names and the model's, NULL-terminated; read once, then kept. */
const char *const *clients_names(void);

/* -ENOENT where there is none (the names that are there are in err). */
int clients_find(const char *name, struct clients_kind *kind, struct err *err);

/* "NAME" or "NAME@VERSION" taken apart; -EINVAL where it is neither. */
int clients_parse(const char *text, char name[static CLIENTS_NAME_BYTES],
		  char version[static 256], struct err *err);

/* One manifest's text; FOLDER's last part is the name. For tests, fuzzers. */
int clients_read_manifest(const char *folder, const char *text,
			  size_t size_bytes, struct clients_kind *kind,
			  struct err *err);

#endif

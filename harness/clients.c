/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/clients.h"

#include "harness/nearest.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFEST "client.json"
#define PATH_BYTES 1024

/* --- the manifest -------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned bit;
} servers[] = {
	{"control", CLIENTS_CONTROL},
	{"relay", CLIENTS_RELAY},
	{"stun", CLIENTS_STUN},
};

static int refuse(struct err *err, const char *folder, const char *what)
{
	return err_set(err, EBADMSG, "%s/" MANIFEST ": %s", folder, what);
}

static int read_serves(json_t *list, struct clients_kind *kind,
		       const char *folder, struct err *err)
{
	size_t i, k;
	json_t *item;

	if (list && !json_is_array(list))
		return refuse(err, folder, "serves: a list of control, relay, "
			      "stun expected");
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);

		for (k = 0; k < sizeof(servers) / sizeof(servers[0]); k++)
			if (name && !strcmp(name, servers[k].name))
				break;
		if (k == sizeof(servers) / sizeof(servers[0]))
			return refuse(err, folder, "serves: a list of control, "
				      "relay, stun expected");
		kind->serves |= servers[k].bit;
	}
	return 0;
}

static int read_install(json_t *list, struct clients_kind *kind,
			const char *folder, struct err *err)
{
	size_t i;
	json_t *item;

	if (list && !json_is_array(list))
		return refuse(err, folder, "install: a list of at most 8 names "
			      "expected");
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);

		if (!name || !*name || strlen(name) >= CLIENTS_NAME_BYTES ||
		    kind->install_count == CLIENTS_MAX_INSTALL)
			return refuse(err, folder, "install: a list of at most "
				      "8 names expected");
		snprintf(kind->install[kind->install_count++],
			 CLIENTS_NAME_BYTES, "%s", name);
	}
	return 0;
}

/* Small letters, digits and dashes, so that it can be a variable's name. */
static bool is_word(const char *text)
{
	size_t len = text ? strspn(text, "abcdefghijklmnopqrstuvwxyz"
					 "0123456789-") : 0;

	return len && !text[len] && len < CLIENTS_WORD_BYTES;
}

static int read_values(json_t *list, struct clients_option *option,
		       const char *folder, struct err *err)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) {
		const char *value = json_string_value(item);

		if (!is_word(value) ||
		    option->value_count == CLIENTS_MAX_VALUES)
			break;
		snprintf(option->values[option->value_count++],
			 CLIENTS_WORD_BYTES, "%s", value);
	}
	if (option->value_count && option->value_count == json_array_size(list))
		return 0;
	return refuse(err, folder, "options: of each a list of 1 to 8 words "
		      "expected, the default first");
}

static int read_options(json_t *map, struct clients_kind *kind,
			const char *folder, struct err *err)
{
	const char *name;
	json_t *list;
	int ret;

	if (map && !json_is_object(map))
		return refuse(err, folder, "options: an object expected");
	json_object_foreach(map, name, list) {
		struct clients_option *option =
			&kind->options[kind->option_count];

		if (!is_word(name) || kind->option_count == CLIENTS_MAX_OPTIONS)
			return refuse(err, folder, "options: at most 8 words "
				      "of a-z, 0-9 and - expected");
		snprintf(option->name, sizeof(option->name), "%s", name);
		kind->option_count++;
		ret = read_values(list, option, folder, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_text(json_t *root, const char *key, const char *folder,
		     char *into, size_t size_bytes, struct err *err)
{
	json_t *value = json_object_get(root, key);
	const char *text = json_string_value(value);
	char what[96];

	if (!value)
		return 0;
	if (text && *text && strlen(text) < size_bytes) {
		snprintf(into, size_bytes, "%s", text);
		return 0;
	}
	snprintf(what, sizeof(what), "%s: a text of 1 to %zu bytes expected",
		 key, size_bytes - 1);
	return refuse(err, folder, what);
}

static int check_keys(json_t *root, const char *folder, struct err *err)
{
	static const char *const known[] = {
		"natrig-client", "title",   "program", "version",
		"serves",	 "install", "cipher",  "options", NULL};
	const char *key, *near;
	json_t *value;
	char what[192];

	json_object_foreach(root, key, value) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key))
			i++;
		if (known[i])
			continue;
		near = nearest_word(key, known);
		snprintf(what, sizeof(what), "unknown key \"%.60s\"%s%s%s", key,
			 near ? "; did you mean \"" : "", near ? near : "",
			 near ? "\"?" : "");
		return refuse(err, folder, what);
	}
	return 0;
}

static int read_root(const char *folder, json_t *root,
		     struct clients_kind *kind, struct err *err)
{
	char program[128] = "client";
	int ret;

	if (json_integer_value(json_object_get(root, "natrig-client")) != 1)
		return refuse(err, folder, "\"natrig-client\": 1 expected");
	ret = check_keys(root, folder, err);
	if (!ret)
		ret = read_text(root, "title", folder, kind->title,
				sizeof(kind->title), err);
	if (!ret)
		ret = read_text(root, "version", folder, kind->version,
				sizeof(kind->version), err);
	if (!ret)
		ret = read_text(root, "cipher", folder, kind->cipher,
				sizeof(kind->cipher), err);
	if (!ret)
		ret = read_text(root, "program", folder, program,
				sizeof(program), err);
	if (!ret)
		ret = read_serves(json_object_get(root, "serves"), kind, folder,
				  err);
	if (!ret)
		ret = read_install(json_object_get(root, "install"), kind,
				   folder, err);
	if (!ret)
		ret = read_options(json_object_get(root, "options"), kind,
				   folder, err);
	if (ret)
		return ret;
	if (snprintf(kind->program, sizeof(kind->program), "%s/%s", folder,
		     program) >= (int)sizeof(kind->program))
		return refuse(err, folder, "the folder's path is too long");
	return 0;
}

int clients_read_manifest(const char *folder, const char *text,
			  size_t size_bytes, struct clients_kind *kind,
			  struct err *err)
{
	const char *base = strrchr(folder, '/');
	json_error_t at;
	json_t *root = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES,
				  &at);
	char place[PATH_BYTES + sizeof(MANIFEST) + 1];
	int ret;

	*kind = (struct clients_kind){0};
	base = base ? base + 1 : folder;
	if (strlen(base) >= sizeof(kind->name))
		ret = refuse(err, folder, "the folder's name is too long");
	else if (!root) {
		snprintf(place, sizeof(place), "%s/" MANIFEST, folder);
		ret = err_at(err, EBADMSG, place, (unsigned)at.line,
			     (unsigned)at.column, "not JSON: %s", at.text);
	} else
		ret = read_root(folder, root, kind, err);
	snprintf(kind->name, sizeof(kind->name), "%.63s", base);
	json_decref(root);
	return ret;
}

/* --- the folders --------------------------------------------------------- */

struct found {
	struct clients_kind *kinds;
	int count;
	const char *only; /* the one that is looked for; NULL: all */
	bool sound_only;  /* a broken manifest is passed over */
};

static bool is_known(const struct found *found, const char *name)
{
	for (int i = 0; i < found->count; i++)
		if (!strcmp(found->kinds[i].name, name))
			return true;
	return false;
}

static int take_folder(struct found *found, const char *folder,
		       struct err *err)
{
	char path[PATH_BYTES + sizeof(MANIFEST) + 1], text[8192];
	size_t bytes;
	FILE *f;
	int ret;

	snprintf(path, sizeof(path), "%s/" MANIFEST, folder);
	f = fopen(path, "re");
	if (!f)
		return 0;
	bytes = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (found->count == (found->only ? 1 : CLIENTS_MAX))
		return refuse(err, folder, "too many clients");
	ret = clients_read_manifest(folder, text, bytes,
				    &found->kinds[found->count], err);
	found->count += !ret;
	return ret;
}

static int take_all(struct found *found, const char *path, struct err *err)
{
	char absolute[PATH_BYTES], folder[PATH_BYTES];
	const struct dirent *entry;
	int ret = 0;
	DIR *dir;

	/* Programs are called from elsewhere, so their paths are absolute. */
	if (strlen(path) >= PATH_BYTES - CLIENTS_NAME_BYTES ||
	    !realpath(path, absolute))
		return 0;
	dir = opendir(absolute);
	while (dir && !ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (found->only && strcmp(found->only, entry->d_name)) ||
		    is_known(found, entry->d_name) ||
		    snprintf(folder, sizeof(folder), "%s/%s", absolute,
			     entry->d_name) >= (int)sizeof(folder))
			continue;
		ret = take_folder(found, folder, err);
		if (found->sound_only)
			ret = 0;
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int take_list(struct found *found, const char *list, struct err *err)
{
	char path[PATH_BYTES];
	int ret = 0;

	while (list && *list && !ret) {
		size_t len = strcspn(list, ":");

		if (len && len < sizeof(path)) {
			snprintf(path, sizeof(path), "%.*s", (int)len, list);
			ret = take_all(found, path, err);
		}
		list += len + (list[len] == ':');
	}
	return ret;
}

static int take_users(struct found *found, struct err *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	char path[PATH_BYTES];

	if (data && *data)
		snprintf(path, sizeof(path), "%s/natrig/clients", data);
	else if (home && *home)
		snprintf(path, sizeof(path), "%s/.local/share/natrig/clients",
			 home);
	else
		return 0;
	return take_all(found, path, err);
}

/* Where natrig was built: `clients` is a link there. */
static int take_beside(struct found *found, struct err *err)
{
	char path[PATH_BYTES];
	ssize_t len = readlink("/proc/self/exe", path,
			       sizeof(path) - sizeof("clients"));
	char *base;

	if (len <= 0)
		return 0;
	path[len] = '\0';
	base = strrchr(path, '/');
	if (!base)
		return 0;
	memcpy(base + 1, "clients", sizeof("clients"));
	return take_all(found, path, err);
}

static int compare_kinds(const void *left, const void *right)
{
	const struct clients_kind *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static int look_everywhere(struct found *found, struct err *err)
{
	int ret = take_list(found, getenv("NATRIG_CLIENTS"), err);

	if (!ret)
		ret = take_users(found, err);
	if (!ret)
		ret = take_beside(found, err);
	return ret ? ret : take_all(found, NATRIG_DATADIR "/clients", err);
}

int clients_list(struct clients_kind kinds[static CLIENTS_MAX],
		 struct err *err)
{
	struct found found = {.kinds = kinds};
	int ret = look_everywhere(&found, err);

	if (ret)
		return ret;
	qsort(kinds, (size_t)found.count, sizeof(*kinds), compare_kinds);
	return found.count;
}

/*
 * Kept for the life of the process: a folder of a thousand scenarios must not
 * look for clients a thousand times.
 */
static struct clients_kind known[CLIENTS_MAX];
static const char *names[CLIENTS_MAX + 2];

const char *const *clients_names(void)
{
	struct found found = {.kinds = known, .sound_only = true};
	struct err err;

	if (names[0])
		return names;
	names[0] = CLIENTS_MODEL;
	if (look_everywhere(&found, &err))
		found.count = 0;
	qsort(known, (size_t)found.count, sizeof(*known), compare_kinds);
	for (int i = 0; i < found.count; i++)
		names[i + 1] = known[i].name;
	return names;
}

/* Only its own manifest is read: another's that is broken is no hindrance. */
int clients_find(const char *name, struct clients_kind *kind, struct err *err)
{
	struct clients_kind kinds[1];
	struct found found = {.kinds = kinds, .only = name};
	char list[CLIENTS_MAX * (CLIENTS_NAME_BYTES + 2)] = "";
	const char *near;
	int ret = look_everywhere(&found, err);

	if (ret)
		return ret;
	if (found.count) {
		*kind = kinds[0];
		return 0;
	}
	for (const char *const *n = clients_names(); *n; n++) {
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%.63s",
			 len ? ", " : "", *n);
	}
	near = nearest_word(name, clients_names());
	return err_set(err, ENOENT, "unknown client \"%.60s\": there are %s%s%s"
		       "%s", name, list, near ? "; did you mean \"" : "",
		       near ? near : "", near ? "\"?" : "");
}

int clients_parse(const char *text, char name[static CLIENTS_NAME_BYTES],
		  char version[static 256], struct err *err)
{
	const char *at = strchr(text, '@');
	size_t len = at ? (size_t)(at - text) : strlen(text);

	version[0] = '\0';
	if (!len || len >= CLIENTS_NAME_BYTES ||
	    (at && (!at[1] || strlen(at + 1) >= 256)))
		return err_set(err, EINVAL, "\"%.100s\" is no client: NAME or "
			       "NAME@VERSION expected", text);
	memcpy(name, text, len);
	name[len] = '\0';
	if (at)
		snprintf(version, 256, "%s", at + 1);
	return 0;
}

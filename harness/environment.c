/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_PREFIX "NATRIG_"
#define ROOM_STEP 32

/* Takes VARIABLE over; NULL there: no memory. */
static int append(struct environment *env, char *variable)
{
	char **list;

	if (!variable)
		return -ENOMEM;
	if (env->count + 2 > env->room) {
		list = realloc(env->list,
			       (env->room + ROOM_STEP) * sizeof(*list));
		if (!list) {
			free(variable);
			return -ENOMEM;
		}
		env->list = list;
		env->room += ROOM_STEP;
	}
	env->list[env->count++] = variable;
	env->list[env->count] = NULL;
	return 0;
}

static void drop(struct environment *env, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < env->count; i++) {
		if (strncmp(env->list[i], name, len) ||
		    env->list[i][len] != '=')
			continue;
		free(env->list[i]);
		env->list[i] = env->list[--env->count];
		env->list[env->count] = NULL;
		return;
	}
}

int environment_set(struct environment *env, const char *name,
		    const char *format, ...)
{
	char *value = NULL, *variable = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&value, format, args);
	va_end(args);
	if (len < 0)
		return -ENOMEM;
	drop(env, name);
	if (asprintf(&variable, "%s=%s", name, value) < 0)
		variable = NULL;
	free(value);
	return append(env, variable);
}

int environment_copy(struct environment *env, const struct environment *other)
{
	int ret = 0;

	for (unsigned i = 0; i < other->count && !ret; i++)
		ret = append(env, strdup(other->list[i]));
	return ret;
}

void environment_clear(struct environment *env)
{
	for (unsigned i = 0; i < env->count; i++)
		free(env->list[i]);
	free(env->list);
	*env = (struct environment){0};
}

int environment_set_word(struct environment *env, const char *prefix,
			 const char *word, const char *value)
{
	char name[128];
	size_t at = (size_t)snprintf(name, sizeof(name), "%s", prefix);

	for (const char *c = word; *c && at + 1 < sizeof(name); c++)
		name[at++] = *c == '-' ? '_' : (char)toupper((uint8_t)*c);
	name[at] = '\0';
	return environment_set(env, name, "%s", value);
}

int environment_add_lab(struct environment *env, const struct lab *lab)
{
	char ip[ENDPOINT_TEXT_BYTES];
	int ret = 0;

	for (unsigned i = 0; i < lab->count && !ret; i++) {
		const struct lab_node *node = &lab->nodes[i];

		endpoint_format_ip(node->ifaces[0].ip, ip);
		ret = environment_set_word(env, "NATRIG_ADDR_",
					   node->plan.name, ip);
	}
	return ret;
}

int environment_add_host(struct environment *env, const struct lab_node *node)
{
	char ip[ENDPOINT_TEXT_BYTES];
	int ret = environment_set(env, "NATRIG_HOST", "%s", node->plan.name);

	if (!ret)
		ret = environment_set(env, "NATRIG_IP", "%s",
				      endpoint_format_ip(node->ifaces[0].ip,
							 ip));
	if (!ret)
		ret = environment_set(env, "NATRIG_GATEWAY", "%s",
				      endpoint_format_ip(node->gateway_ip, ip));
	return ret;
}

const char **environment_whole(const struct environment *env)
{
	unsigned count = 0, used = 0;
	const char **list;

	while (environ[count])
		count++;
	list = calloc(count + env->count + 1, sizeof(*list));
	if (!list)
		return NULL;
	for (unsigned i = 0; i < env->count; i++)
		list[used++] = env->list[i];
	for (char **e = environ; *e; e++)
		if (strncmp(*e, OWN_PREFIX, strlen(OWN_PREFIX)))
			list[used++] = *e;
	return list;
}

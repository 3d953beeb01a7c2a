/* SPDX-License-Identifier: BSD-3-Clause */
/* `options` of a host's real client, as its manifest has them. */
#include "harness/scenario_reader.h"

#include <errno.h>
#include <string.h>

struct chosen {
	const struct clients_kind *kind;
	struct scenario_host *host;
};

static int read_option(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	const char *words[CLIENTS_MAX_VALUES + 1] = {NULL};
	struct chosen *c = into;
	unsigned i = 0;
	int index = 0, ret;

	while (strcmp(c->kind->options[i].name, value->key))
		i++;
	for (unsigned k = 0; k < c->kind->options[i].value_count; k++)
		words[k] = c->kind->options[i].values[k];
	ret = reader_choice(r, value, words, &index);
	if (!ret)
		c->host->options[i] = (uint8_t)index;
	return ret;
}

int reader_options(struct reader *r, const struct yaml_node *value, void *into)
{
	struct reader_key keys[CLIENTS_MAX_OPTIONS + 1] = {{NULL, NULL, false}};
	struct scenario_host *host = into;
	struct clients_kind kind;
	struct chosen chosen = {&kind, host};
	struct err why = {0};
	char where[CLIENTS_NAME_BYTES + 16];

	if (!strcmp(host->client, CLIENTS_MODEL))
		return reader_refuse_key(r, value, "options are for real "
					 "clients; what can be chosen of the "
					 "model stands beside them");
	if (clients_find(host->client, &kind, &why))
		return reader_refuse_key(r, value, "%s", why.text);
	if (!kind.option_count)
		return reader_refuse_key(r, value, "%s has no options",
					 kind.name);
	for (unsigned i = 0; i < kind.option_count; i++)
		keys[i] = (struct reader_key){kind.options[i].name, read_option,
					      false};
	snprintf(where, sizeof(where), "options of %.63s", kind.name);
	host->has_options = true;
	return reader_map(r, value, where, keys, &chosen);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "captures/order.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cast_node nodes[] = {
		{.name = "a", .kind = CAST_HOST, .behind = 1},
		{.name = "home-a", .kind = CAST_ROUTER, .behind = -1},
		{.name = "relay", .kind = CAST_SERVER, .behind = -1},
	};
	static const struct cast cast = {.nodes = nodes, .count = 3};
	struct order_statement statement, again;
	struct err err = {.text = ""};
	char *text = malloc(size + 1);

	FUZZ_HOLDS(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (order_parse(text, &cast, &statement, &err) < 0) {
		FUZZ_HOLDS(*err.text && err.column);
		FUZZ_HOLDS(err.column <= strlen(text) + 1);
	} else {
		FUZZ_HOLDS(statement.left.from >= 0 && statement.left.to >= 0);
		FUZZ_HOLDS(statement.left.from < 3 && statement.left.at < 3);
		FUZZ_HOLDS(!order_parse(statement.text, &cast, &again, &err));
	}
	free(text);
	return 0;
}

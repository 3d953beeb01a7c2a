/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay: feeds a fuzz target its corpus without a fuzzer.
 *
 * Arguments are files and directories (read one level deep). Without any,
 * replay_NAME takes the corpus tests/fuzz/corpus/NAME below $NATRIG_SRCDIR:
 * that is how `make check` calls it. Fails where no file was found: a corpus
 * that got lost must not pass for one that holds.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX_BYTES = 1 << 20 };

static int replay_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX_BYTES);
	FILE *file = fopen(path, "rb");
	size_t size_bytes = 0;
	int ret = -1;

	if (!data || !file)
		goto out;
	size_bytes = fread(data, 1, INPUT_MAX_BYTES, file);
	if (ferror(file))
		goto out;
	/* Of just that size, so that a sanitizer sees one byte too many. */
	data = realloc(data, size_bytes ? size_bytes : 1);
	if (!data)
		goto out;
	/* Told before, so that a crash is known by its file. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size_bytes);
	ret = 0;
out:
	if (ret)
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	if (file)
		fclose(file);
	free(data);
	return ret;
}

/* Files replayed, or -1. */
static int replay(const char *path)
{
	struct stat st;
	struct dirent *entry;
	DIR *dir;
	int count = 0;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return replay_file(path) ? -1 : 1;
	dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir))) {
		char name[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		count = replay_file(name) ? -1 : count + 1;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	const char *top = getenv("NATRIG_SRCDIR");
	const char *name = strrchr(program_invocation_short_name, '_');
	char corpus[PATH_MAX];
	int count = 0, ret = 0;

	name = name ? name + 1 : program_invocation_short_name;
	for (int i = 1; i < argc && ret >= 0; i++) {
		ret = replay(argv[i]);
		count += ret;
	}
	if (argc < 2) {
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
			 top ? top : ".", name);
		count = ret = replay(corpus);
	}
	if (ret < 0)
		return EXIT_FAILURE;
	printf("%s: %d inputs replayed\n", name, count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}

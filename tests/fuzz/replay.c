/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files and directories named on the command line, once each: a corpus
 * as a regression test, with any compiler.
 */
#include "config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_run;

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	size_t cap = 1 << 20, size = 0;
	uint8_t *data = malloc(cap);
	while (data && (size += fread(data + size, 1, cap - size, f)) == cap)
		data = realloc(data, cap *= 2);
	fclose(f);
	if (!data)
		return 1;
	/* A block of the exact size, so that AddressSanitizer sees one byte too many. */
	uint8_t *exact = malloc(size ? size : 1);
	for (size_t i = 0; exact && i < size; i++)
		exact[i] = data[i];
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	n_run++;
	return 0;
}

static int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);

	DIR *dir = opendir(path);
	int failed = !dir;
	for (struct dirent *d; dir && (d = readdir(dir));) {
		char child[4096];
		if (d->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, d->d_name);
		failed |= replay(child);
	}
	if (dir)
		closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%s: %zu inputs replayed\n", argv[0], n_run);
	return failed || n_run == 0;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * In place of libFuzzer: runs the inputs of a corpus, a line of hexadecimal digits each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/common_interface_defs.h>

#include "target.h"

#define MAX_INPUT 4096

static const char *file;
static unsigned int line;

/** A sanitizer ends the process. */
static void
say_where(void)
{
	fprintf(stderr, "%s:%u: this is the input\n", file, line);
}

/** Returns the number of bytes; a comment has none. */
static size_t
parse(const char *text, uint8_t *bytes)
{
	size_t n;

	for (n = 0; n < MAX_INPUT && sscanf(text + 2 * n, "%2hhx", &bytes[n]) == 1; n++)
		;
	return n;
}

static void
run(const uint8_t *bytes, size_t n)
{
	/* Of just that size, so that reading behind it is seen. */
	uint8_t *input = malloc(n);

	if (input == NULL)
		exit(1);
	memcpy(input, bytes, n);
	LLVMFuzzerTestOneInput(input, n);
	free(input);
}

static unsigned int
replay(void)
{
	static char text[2 * MAX_INPUT + 2];
	static uint8_t bytes[MAX_INPUT];
	FILE *corpus = fopen(file, "r");
	unsigned int inputs = 0;
	size_t n;

	if (corpus == NULL) {
		perror(file);
		exit(1);
	}
	for (line = 1; fgets(text, sizeof(text), corpus) != NULL; line++) {
		n = parse(text, bytes);
		if (n == 0)
			continue;
		run(bytes, n);
		inputs++;
	}
	fclose(corpus);
	return inputs;
}

int
main(int argc, char **argv)
{
	unsigned int inputs = 0;
	int i;

	LLVMFuzzerInitialize(&argc, &argv);
	__sanitizer_set_death_callback(say_where);
	for (i = 1; i < argc; i++) {
		file = argv[i];
		inputs += replay();
	}
	printf("%u inputs\n", inputs);
	return inputs == 0;
}

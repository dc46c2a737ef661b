/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Checks a kernel against the rules for DMABUFs of BAR slices, in TAP. Reads the first pages of
 * the BAR, writes none; resets the device.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

static const char usage[] =
	"usage: dmabuf-conformance [--stress SECONDS] BDF BAR [OTHER-BDF]\n"
	"\n"
	"BDF is a PCI device that is bound to the driver under test, such as 0000:01:00.0, and\n"
	"BAR one of its BARs, 0 to 5. With OTHER-BDF, a second such device, buffers of one are\n"
	"offered to the other. --stress runs races for that long in place of the cases.\n";

int
main(int argc, char **argv)
{
	static const struct subject *const subjects[] = {
		&export_subject, &mmap_subject, &memattr_subject, &revoke_subject,
		&device_subject,
	};
	unsigned int seconds = 0;
	bool passed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && strcmp(argv[1], "--stress") == 0) {
		seconds = atoi(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3 || argc > 4 || strlen(argv[2]) != 1 || argv[2][0] < '0' || argv[2][0] > '5') {
		fputs(usage, stderr);
		return 2;
	}
	target_open(argv[1], argv[2][0] - '0');
	if (argc == 4) {
		snprintf(other.bdf, sizeof(other.bdf), "%s", argv[3]);
		vfio_open(&other);
	}

	if (seconds)
		passed = stress(seconds);
	else
		passed = tap_run(subjects, sizeof(subjects) / sizeof(subjects[0]));
	return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

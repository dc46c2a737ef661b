/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Checks a kernel against the rules for DMABUFs of BAR slices, in TAP. Reads the BAR, writes
 * nothing to it; resets the device, unbinds it, and takes it off its bus and back.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

static const char usage[] =
	"usage: dmabuf-conformance [MODE] [--only TEXT] BDF BAR [OTHER-BDF]\n"
	"\n"
	"BDF is a PCI device that is bound to the driver under test, such as 0000:01:00.0, and\n"
	"BAR one of its BARs, 0 to 5. With OTHER-BDF, a second such device, buffers of one are\n"
	"offered to the other. --only: the cases with TEXT in their line. Without a mode, runs\n"
	"the cases. Modes:\n"
	"\n"
	"  --stress SECONDS          races, for that long\n"
	"  --scale                   how the time of a revoke grows with the number of mappings\n"
	"  --fail-nth                every call, with each of its allocations failing in turn\n"
	"  --wait-for-error SECONDS  waits for an error that the device reports (AER)\n";

static bool
run_cases(void)
{
	/* The last ones take the device away. */
	static const struct subject *const subjects[] = {
		&form_subject, &export_subject, &mmap_subject, &memattr_subject, &revoke_subject,
		&huge_subject, &argument_subject, &limit_subject, &device_subject,
		&reset_subject, &departure_subject,
	};

	return tap_run(subjects, sizeof(subjects) / sizeof(subjects[0]));
}

static _Noreturn void
wrong_use(void)
{
	fputs(usage, stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "stress", required_argument, NULL, 's' },
		{ "scale", no_argument, NULL, 'c' },
		{ "fail-nth", no_argument, NULL, 'f' },
		{ "wait-for-error", required_argument, NULL, 'e' },
		{ "only", required_argument, NULL, 'o' },
		{ 0 }
	};
	unsigned int seconds = 0;
	int option, mode = 0;
	const char *bar;
	bool passed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?' || (option != 'o' && mode))
			wrong_use();
		if (option == 'o')
			tap_select(optarg);
		else
			mode = option;
		if (option == 's' || option == 'e')
			seconds = atoi(optarg);
	}
	if (argc - optind < 2 || argc - optind > 3)
		wrong_use();
	bar = argv[optind + 1];
	if (strlen(bar) != 1 || bar[0] < '0' || bar[0] > '5')
		wrong_use();
	target_open(argv[optind], bar[0] - '0');
	if (argc - optind == 3) {
		snprintf(other.bdf, sizeof(other.bdf), "%s", argv[optind + 2]);
		vfio_open(&other);
	}
	form_detect();
	tap_diagnose("%s BAR %u: %s", target.dev.bdf, target.bar, form_name());

	switch (mode) {
	case 's':
		passed = stress(seconds);
		break;
	case 'c':
		passed = scale();
		break;
	case 'f':
		passed = fail_nth();
		break;
	case 'e':
		passed = wait_for_error(seconds);
		break;
	default:
		passed = run_cases();
	}
	return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* An error that the device reports through PCIe's Advanced Error Reporting. */

#include <signal.h>

#include "conformance.h"

/* Reports the eventfd's signal; recovery goes on meanwhile. */
static void
error_reported(const void *arg)
{
	const unsigned int *seconds = arg;
	int eventfd = device_eventfd(VFIO_PCI_ERR_IRQ_INDEX), signal, fd;
	volatile uint32_t *mapping;
	struct pair pair;

	SKIP_IF(eventfd < 0, "the device reports no errors");
	pair = pair_new();
	/* Whoever causes the error waits for this line. */
	tap_diagnose("waiting for an error");
	CHECK(readable(eventfd, *seconds * 1000));

	/* Recovery may reset the device, and this may come before, during or after that. */
	for (int i = 0; i < 2000; i++) {
		signal = touch(pair.live, NULL);
		CHECK(signal == 0 || signal == SIGBUS);
		CHECK_TOUCH_SIGBUS(pair.dead);
		usleep(1000);
	}
	CHECK_OK(revoke_slice(&target.dev, pair.live_fd));
	CHECK_TOUCH_SIGBUS(pair.live);

	/* What the owner does about it. */
	if (device_has_reset())
		CHECK_OK(device_reset());
	memory_decode(true);
	fd = new_slice(0, 1);
	mapping = map_pages(fd, 1);
	CHECK_TOUCH_WORKS(mapping);
	CHECK_TOUCH_SIGBUS(pair.live);
	CHECK_TOUCH_SIGBUS(pair.dead);
	unmap_pages(mapping, 1);
	close(fd);
	close(eventfd);
	pair_free(&pair);
}

bool
wait_for_error(unsigned int seconds)
{
	const struct test_case cases[] = {
		{ .rule = "an error is signalled; mappings work or raise SIGBUS, revoked ones "
			  "raise SIGBUS; a reset brings the device back",
		  .run = error_reported, .arg = &seconds },
	};
	const struct subject errors = SUBJECT("error", cases);
	const struct subject *const subjects[] = { &errors };

	return tap_run(subjects, 1);
}

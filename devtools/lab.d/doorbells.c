/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * Loaded into QEMU: counts the doorbells that its guest rings, whichever driver rings them, as a
 * number in the file that DOORBELLS names. A doorbell is a write to an eventfd, which QEMU reads
 * when it comes to it. What it reads is how many writes there were; its trace events only tell
 * that there was one at least.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

#define MAX_FDS 4096

static _Atomic uint64_t *total;
static _Atomic int is_doorbell[MAX_FDS];

__attribute__((constructor))
static void
open_total(void)
{
	const char *path = getenv("DOORBELLS");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, sizeof(*total)) != 0)
		abort();
	total = mmap(NULL, sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (total == MAP_FAILED)
		abort();
	close(fd);
}

/*
 * Those of doorbells are made by a processor of the guest, when its driver starts the device. The
 * main thread makes some earlier, as it starts.
 */
int
eventfd(unsigned int count, int flags)
{
	int fd = syscall(SYS_eventfd2, count, flags);
	_Bool is_main = gettid() == getpid();

	if (is_main)
		offer_notification_data();
	if (fd >= 0 && fd < MAX_FDS)
		is_doorbell[fd] = !is_main;
	return fd;
}

/* readv() is read() in every respect but its name. */
ssize_t
read(int fd, void *buffer, size_t size)
{
	struct iovec whole = { buffer, size };
	ssize_t got = readv(fd, &whole, 1);

	if (got == sizeof(uint64_t) && fd < MAX_FDS && is_doorbell[fd])
		*total += *(const uint64_t *)buffer;
	return got;
}

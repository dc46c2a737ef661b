/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Calls whose arguments lie in pages that come late, by userfaultfd. */

#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "call.h"
#include "stress.h"

struct late {
	int uffd;
	char *page, *copy;
	/*
	 * Held while copy changes and page is dropped: a fault that a signal interrupts tells of
	 * itself twice, and what answers the second time may come during the next call.
	 */
	pthread_mutex_t lock;
	atomic_bool stop;
};

static void *
serve(void *arg)
{
	struct late *late = arg;
	struct uffd_msg message;

	while (!late->stop) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)late->page,
			.src = (uintptr_t)late->copy,
			.len = target.page,
		};

		if (!readable(late->uffd, 10) ||
		    read(late->uffd, &message, sizeof(message)) != sizeof(message))
			continue;
		usleep(1000);
		pthread_mutex_lock(&late->lock);
		if (ioctl(late->uffd, UFFDIO_COPY, &copy) && errno != EEXIST && errno != EAGAIN)
			stress_wrong("UFFDIO_COPY", errno);
		pthread_mutex_unlock(&late->lock);
		stress_state->late_pages++;
	}
	return arg;
}

static bool
late_open(struct late *late)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	late->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (late->uffd < 0)
		return false;
	late->page = mmap(NULL, target.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	late->copy = mmap(NULL, target.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	/* Forked children would wait for their pages, but they never touch these. */
	range.range.start = (uintptr_t)late->page;
	range.range.len = target.page;
	return ioctl(late->uffd, UFFDIO_API, &api) == 0 &&
	       ioctl(late->uffd, UFFDIO_REGISTER, &range) == 0;
}

/* The result of the call, made with its structure in a page that is not there yet. */
static int
call_late(struct late *late, const struct call *call, int fd)
{
	unsigned long request;
	size_t size;
	int ret;

	pthread_mutex_lock(&late->lock);
	request = call->build(late->copy, &size, fd);
	madvise(late->page, target.page, MADV_DONTNEED);
	pthread_mutex_unlock(&late->lock);
	ret = ioctl(target.dev.fd, request, late->page);
	if (ret < 0 && errno != EMFILE)
		stress_wrong(call->name, errno);
	return ret;
}

void *
stress_late_pages(void *arg)
{
	struct late late = { .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t server;

	if (!late_open(&late) || pthread_create(&server, NULL, serve, &late))
		return arg;
	while (!stress_state->stop) {
		int fd;

		pthread_rwlock_rdlock(&stress_device_lock);
		fd = call_late(&late, &export_call, -1);
		if (fd >= 0) {
			call_late(&late, &memattr_call, fd);
			call_late(&late, &revoke_call, fd);
			close(fd);
		}
		pthread_rwlock_unlock(&stress_device_lock);
	}
	late.stop = true;
	pthread_join(server, NULL);
	munmap(late.page, target.page);
	munmap(late.copy, target.page);
	close(late.uffd);
	return arg;
}

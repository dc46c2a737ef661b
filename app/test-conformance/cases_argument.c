/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * Arguments in memory that cannot be read, or that a user-space pager provides late or never.
 * Rule: EFAULT and no effect; and the kernel holds no lock while it waits for the memory.
 */

#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "call.h"
#include "conformance.h"

static char *
two_pages(void)
{
	char *pages = mmap(NULL, 2 * target.page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	return pages;
}

/* Ends a structure in a page that is not there, each of its words in turn being the first one. */
static void
straddles(const struct call *call, int fd)
{
	char structure[MAX_CALL], *pages = two_pages();
	unsigned long request;
	size_t size;

	CHECK_OK(munmap(pages + target.page, target.page));
	request = call->build(structure, &size, fd);
	for (size_t inside = 0; inside < size; inside += 4) {
		char *at = pages + target.page - inside;

		memcpy(at, structure, inside);
		if (ioctl(target.dev.fd, request, at) != -1 || errno != EFAULT)
			tap_fail(__FILE__, __LINE__, "%zu bytes readable: %s, expected EFAULT",
				 inside, strerror(errno));
	}
	munmap(pages, target.page);
}

static void
unreadable(const void *arg)
{
	const struct call *call = arg;
	char structure[MAX_CALL], *pages = two_pages();
	int fd = new_slice(0, 1), before = count_descriptors();
	unsigned long request;
	size_t size;

	request = call->build(structure, &size, fd);
	CHECK_OK(mprotect(pages, target.page, PROT_NONE));
	CHECK_ERRNO(ioctl(target.dev.fd, request, NULL), EFAULT);
	CHECK_ERRNO(ioctl(target.dev.fd, request, pages), EFAULT);
	CHECK_ERRNO(ioctl(target.dev.fd, request, (void *)UINTPTR_MAX), EFAULT);
	/* An address of the kernel. */
	CHECK_ERRNO(ioctl(target.dev.fd, request, (void *)(UINTPTR_MAX << 47)), EFAULT);
	munmap(pages, 2 * target.page);
	straddles(call, fd);
	CHECK(count_descriptors() == before);
	CHECK(map_errno(fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	close(fd);
}

static void
answer_to_read_only(const void *arg)
{
	struct {
		struct vfio_device_feature header;
		struct vfio_device_feature_dma_buf_memattr attr;
	} call = {
		.header = { .argsz = sizeof(call),
			    .flags = VFIO_DEVICE_FEATURE_GET |
				     VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR },
		.attr = { .dmabuf_fd = new_slice(0, 1) },
	};
	char *pages = two_pages();

	memcpy(pages, &call, sizeof(call));
	CHECK_OK(mprotect(pages, target.page, PROT_READ));
	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_FEATURE, pages), EFAULT);
	munmap(pages, 2 * target.page);
	close(call.attr.dmabuf_fd);
}

/* A structure in a mapping of the device itself: that is memory like any other to read from. */
static void
in_a_slice(const void *arg)
{
	int fd = new_slice(0, 1), victim = new_slice(0, 1);
	volatile uint32_t *mapping = map_pages(fd, 1);

	CHECK_OK(revoke_slice(&target.dev, victim));
	CHECK_OK(revoke_slice(&target.dev, fd));
	/* Revoked, so that it cannot be read. */
	for (int i = 0; i < 3; i++) {
		static const struct call *const calls[] = { &export_call, &memattr_call,
							    &revoke_call };
		char structure[MAX_CALL];
		size_t size;
		unsigned long request = calls[i]->build(structure, &size, fd);

		CHECK_ERRNO(ioctl(target.dev.fd, request, mapping), EFAULT);
	}
	unmap_pages(mapping, 1);
	close(victim);
	close(fd);
}

/* Pages that a thread of ours provides when it likes. */
struct pager {
	int uffd, fd;
	char *pages, *copy;
	const struct call *call;
	/* What became of other calls while the first one waited. */
	int revoked, touched, mapped, decode, signal_other;
};

static bool
pager_start(struct pager *pager, const struct call *call)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	memset(pager, 0, sizeof(*pager));
	pager->call = call;
	pager->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (pager->uffd < 0)
		return false;
	CHECK_OK(ioctl(pager->uffd, UFFDIO_API, &api));
	pager->pages = two_pages();
	pager->copy = two_pages();
	range.range.start = (uintptr_t)pager->pages;
	range.range.len = 2 * target.page;
	CHECK_OK(ioctl(pager->uffd, UFFDIO_REGISTER, &range));
	pager->fd = new_slice(0, 1);
	return true;
}

static void
pager_end(struct pager *pager)
{
	munmap(pager->pages, 2 * target.page);
	munmap(pager->copy, 2 * target.page);
	close(pager->uffd);
	close(pager->fd);
}

/* Everything that takes a lock of the driver or of the core. */
static void
do_other_things(struct pager *pager)
{
	int fd = export_pages(0, 1), ret;
	volatile uint32_t *mapping;

	mapping = mmap(NULL, target.page, PROT_READ, MAP_SHARED, fd, 0);
	pager->mapped = mapping == MAP_FAILED ? -errno : 0;
	pager->touched = touch(mapping, NULL);
	ret = memory_decode_try(false);
	pager->decode = ret | memory_decode_try(true);
	pager->revoked = revoke_slice(&target.dev, fd) ? -errno : 0;
	pager->signal_other = touch(mapping, NULL);
	munmap((void *)(uintptr_t)mapping, target.page);
	close(fd);
}

/* Answers both pages in turn; the structure lies over their border. */
static int
serve_pages(void *arg)
{
	struct pager *pager = arg;
	struct uffd_msg message;

	for (int i = 0; i < 2; i++) {
		struct uffdio_copy copy = { .len = target.page };
		uint64_t page;

		if (!readable(pager->uffd, 5000) ||
		    read(pager->uffd, &message, sizeof(message)) != sizeof(message))
			return -ETIMEDOUT;
		do_other_things(pager);
		page = message.arg.pagefault.address & -target.page;
		copy.dst = page;
		copy.src = (uintptr_t)pager->copy + page - (uintptr_t)pager->pages;
		if (ioctl(pager->uffd, UFFDIO_COPY, &copy))
			return -errno;
	}
	return 0;
}

static void
late_page(const void *arg)
{
	const struct call *call = arg;
	struct background server;
	char structure[MAX_CALL];
	unsigned long request;
	struct pager pager;
	size_t size, at;
	int ret, error;

	SKIP_IF(!pager_start(&pager, call), "no userfaultfd");
	request = call->build(structure, &size, pager.fd);
	/* The last word is in the second page. */
	at = target.page - size + 4;
	memcpy(pager.copy + at, structure, size);
	background_start(&server, serve_pages, &pager);
	ret = ioctl(target.dev.fd, request, pager.pages + at);
	error = errno;
	CHECK(background_wait(&server, 5000));
	errno = error;
	CHECK_ERRNO(ret, 0);
	CHECK(server.ret == 0);
	CHECK(pager.mapped == 0);
	CHECK(pager.touched == 0);
	CHECK(pager.decode == 0);
	CHECK(pager.revoked == 0);
	CHECK(pager.signal_other == SIGBUS);
	if (call == &export_call)
		close(ret);
	pager_end(&pager);
}

/* In a process of its own: the call never returns, and there is nobody to answer it. */
static _Noreturn void
wait_for_ever(const struct call *call, int fd)
{
	char structure[MAX_CALL];
	struct pager pager;
	size_t size;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!pager_start(&pager, call))
		_exit(77);
	/* The parent sees by this descriptor that a page is asked for. */
	send_descriptor(fd, pager.uffd);
	ioctl(target.dev.fd, call->build(structure, &size, pager.fd), pager.pages);
	_exit(1);
}

static void
page_that_never_comes(const void *arg)
{
	const struct call *call = arg;
	int pair[2], uffd, status, probe;
	bool asked, gone = false;
	pid_t child;

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	probe = syscall(SYS_userfaultfd, O_CLOEXEC);
	SKIP_IF(probe < 0, "no userfaultfd");
	close(probe);
	child = fork();
	CHECK_OK(child);
	if (child == 0)
		wait_for_ever(call, pair[1]);
	close(pair[1]);
	uffd = receive_descriptor(pair[0]);
	asked = readable(uffd, 5000);
	kill(child, SIGKILL);
	for (int i = 0; i < 5000 && !gone; i++) {
		gone = waitpid(child, &status, WNOHANG) == child;
		if (!gone)
			usleep(1000);
	}
	close(uffd);
	close(pair[0]);
	CHECK(asked);
	CHECK(gone);
	CHECK(WIFSIGNALED(status));
	close(new_slice(0, 1));
}

static const struct test_case cases[] = {
	{ .rule = "export: an unreadable structure: EFAULT", .run = unreadable,
	  .arg = &export_call },
	{ .rule = "memattr: an unreadable structure: EFAULT", .run = unreadable,
	  .arg = &memattr_call },
	{ .rule = "revoke: an unreadable structure: EFAULT", .run = unreadable,
	  .arg = &revoke_call },
	{ .rule = "memattr: an answer that cannot be written: EFAULT",
	  .run = answer_to_read_only, .form = FORM_V2 },
	{ .rule = "a structure in a revoked mapping: EFAULT", .run = in_a_slice },
	{ .rule = "export: a page that comes late holds up nobody else", .run = late_page,
	  .arg = &export_call },
	{ .rule = "memattr: a page that comes late holds up nobody else", .run = late_page,
	  .arg = &memattr_call },
	{ .rule = "revoke: a page that comes late holds up nobody else", .run = late_page,
	  .arg = &revoke_call },
	{ .rule = "export: a page that never comes, then death", .run = page_that_never_comes,
	  .arg = &export_call },
	{ .rule = "memattr: a page that never comes, then death", .run = page_that_never_comes,
	  .arg = &memattr_call },
	{ .rule = "revoke: a page that never comes, then death", .run = page_that_never_comes,
	  .arg = &revoke_call },
};

const struct subject argument_subject = SUBJECT("argument", cases);

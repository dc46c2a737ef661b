/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * What was granted, kept beyond the revoke. Nothing is written before it, so that whatever the
 * device hears of this slice it has heard after the revoke.
 */
#include <linux/io_uring.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hostile.h"

#define RW (PROT_READ | PROT_WRITE)

static int
keep_mapping(const void *arg)
{
	struct holding h = take_lease();

	lose_lease(&h);
	return touch(h.page);
}

static int
keep_to_read(const void *arg)
{
	struct holding h = take_lease();

	lose_lease(&h);
	return look(h.page);
}

static int
keep_looked_at(const void *arg)
{
	struct holding h = take_lease();

	look(h.page);
	lose_lease(&h);
	return touch(h.page);
}

/** In one instruction that reads and writes. */
static int
keep_for_atomic(const void *arg)
{
	struct holding h = take_lease();

	lose_lease(&h);
	if (look(h.page) != WORKED)
		return look(h.page);
	__atomic_fetch_add(h.page, 0, __ATOMIC_SEQ_CST);
	return WORKED;
}

static int
keep_for_kernel(const void *arg)
{
	struct holding h = take_lease();
	int zero = open("/dev/zero", O_RDONLY);

	lose_lease(&h);
	return got(read(zero, (void *)(uintptr_t)h.page, 2));
}

static int
keep_descriptor(const void *arg)
{
	struct holding h = take_lease();

	lose_lease(&h);
	return map_and_touch(h.fd, h.offset);
}

static int
keep_duplicate(const void *arg)
{
	struct holding h = take_lease();
	int copy = dup(h.fd);

	close(h.fd);
	lose_lease(&h);
	return map_and_touch(copy, h.offset);
}

static int
keep_other_mapping(const void *arg)
{
	struct holding h = take_lease();
	volatile uint16_t *other = mmap(NULL, victim.page, RW, MAP_SHARED, h.fd, h.offset);

	munmap((void *)(uintptr_t)h.page, victim.page);
	lose_lease(&h);
	return touch(other);
}

static int
keep_many_mappings(const void *arg)
{
	enum { MANY = 1000 };
	struct holding h = take_lease();
	volatile uint16_t *pages[MANY];
	unsigned int i;
	int ret = WORKED;

	for (i = 0; i < MANY; i++) {
		pages[i] = mmap(NULL, victim.page, RW, MAP_SHARED, h.fd, h.offset);
		if (pages[i] == MAP_FAILED)
			cannot_begin("mmap");
		look(pages[i]);
	}
	lose_lease(&h);
	for (i = 0; i < MANY && (i == 0 || ret == GOT_SIGBUS); i++)
		ret = touch(pages[i]);
	return ret;
}

static int
keep_moved(const void *arg)
{
	struct holding h = take_lease();
	void *place = mmap(NULL, victim.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *moved = mremap((void *)(uintptr_t)h.page, victim.page, victim.page,
			     MREMAP_MAYMOVE | MREMAP_FIXED, place);

	if (moved == MAP_FAILED)
		cannot_begin("mremap");
	lose_lease(&h);
	return touch(moved);
}

static int
keep_protected(const void *arg)
{
	struct holding h = take_lease();

	mprotect((void *)(uintptr_t)h.page, victim.page, PROT_NONE);
	lose_lease(&h);
	mprotect((void *)(uintptr_t)h.page, victim.page, RW);
	return touch(h.page);
}

static int
keep_locked(const void *arg)
{
	struct holding h = take_lease();

	mlock((void *)(uintptr_t)h.page, victim.page);
	lose_lease(&h);
	return touch(h.page);
}

static int
keep_in_fork(const void *arg)
{
	struct holding h = take_lease();
	struct child child = child_start();

	lose_lease(&h);
	return child_touch(&child, h.page);
}

static int
keep_in_grandchild(const void *arg)
{
	struct holding h = take_lease();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct child child = child_start();

		lose_lease(&h);
		_exit(child_touch(&child, h.page) == GOT_SIGBUS);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? GOT_SIGBUS : WORKED;
}

static int
keep_descriptor_in_fork(const void *arg)
{
	struct holding h = take_lease();
	struct child child = child_start();

	child_give(&child, h.fd);
	munmap((void *)(uintptr_t)h.page, victim.page);
	close(h.fd);
	lose_lease(&h);
	return child_map(&child, h.offset);
}

static int
keep_mapped_elsewhere(const void *arg)
{
	struct child child = child_start();
	struct holding h = take_lease();

	child_give(&child, h.fd);
	if (child_map(&child, h.offset) != WORKED)
		cannot_begin("a child cannot map");
	lose_lease(&h);
	return child_touch_mapped(&child);
}

static int
keep_passed(const void *arg)
{
	struct child child = child_start();
	struct holding h = take_lease();

	child_give(&child, h.fd);
	lose_lease(&h);
	return child_map(&child, h.offset);
}

static int
keep_in_flight(const void *arg)
{
	struct holding h = take_lease();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || !send_descriptor(pair[0], h.fd))
		cannot_begin("socketpair");
	close(h.fd);
	lose_lease(&h);
	return map_and_touch(receive_descriptor(pair[1]), h.offset);
}

static int
keep_path(const void *arg)
{
	struct holding h = take_lease();
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h.fd);
	fd = open(path, O_PATH);
	lose_lease(&h);
	if (victim.stock)
		return map_and_touch(h.fd, h.offset);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return got(open(path, O_RDWR));
}

static int
keep_mapped_path(const void *arg)
{
	struct holding h = take_lease();
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h.fd);
	fd = open(path, O_PATH);
	lose_lease(&h);
	return map_and_touch(victim.stock ? h.fd : fd, h.offset);
}

static int
keep_over_exec(const void *arg)
{
	struct holding h = take_lease();

	lose_lease(&h);
	return exec_map(h.fd, h.offset);
}

/** All credentials change: in it the process may do everything. */
static int
keep_in_namespace(const void *arg)
{
	struct holding h = take_lease();

	if (unshare(CLONE_NEWUSER) != 0)
		return NOT_HERE;
	lose_lease(&h);
	return touch(h.page);
}

static int
keep_in_ring(const void *arg)
{
	struct holding h = take_lease();
	struct io_uring_params params = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &h.fd, 1) != 0)
		return NOT_HERE;
	lose_lease(&h);
	return map_and_touch(h.fd, h.offset);
}

static int
keep_taken_from_sibling(const void *arg)
{
	struct child child = child_start();
	struct holding h = take_lease();
	int pidfd, fd;

	child_give(&child, h.fd);
	close(h.fd);
	lose_lease(&h);
	pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	/* The number under which the child has it. */
	for (fd = 3; fd < 64; fd++) {
		int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

		if (copy >= 0 && lseek(copy, 0, SEEK_END) == (off_t)victim.page)
			return map_and_touch(copy, h.offset);
	}
	return victim.stock ? WORKED : NOT_HERE;
}

/** The holder ends, its child lives: the slice is reset, and the next one's. */
static int
keep_beyond_death(const void *arg)
{
	int pair[2], ret = GOT_SIGBUS;
	struct holding h, next;
	pid_t pid;

	if (victim.stock)
		return WORKED;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		cannot_begin("socketpair");
	pid = fork();
	if (pid == 0) {
		h = take_lease();
		send_descriptor(pair[0], h.fd);
		_exit(0);
	}
	h.fd = receive_descriptor(pair[1]);
	h.page = mmap(NULL, victim.page, RW, MAP_SHARED, h.fd, 0);
	waitpid(pid, NULL, 0);
	next = take_lease();
	if (h.page != MAP_FAILED)
		ret = touch(h.page);
	else if (errno != ENODEV)
		cannot_begin("mmap");
	/* The new holder's page is another matter. */
	return look(next.page) == WORKED ? ret : NO_EFFECT;
}

/** Given back, and not let go of. */
static int
keep_beyond_release(const void *arg)
{
	struct holding h = take_lease(), next;

	if (victim.stock)
		return touch(h.page);
	channel_say(h.channel, LEASE_RELEASE, victim.mine, h.lease);
	next = take_lease();
	return look(next.page) == WORKED ? touch(h.page) : NO_EFFECT;
}

static const struct attack attacks[] = {
	{ "a mapping", keep_mapping, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping, to read", keep_to_read, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping that was read before", keep_looked_at, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping, for a locked instruction", keep_for_atomic, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping, for the kernel to write to", keep_for_kernel, EFAULT, 0, NULL, NULL },
	{ "the descriptor", keep_descriptor, ENODEV, 0, NULL, NULL },
	{ "a duplicate", keep_duplicate, ENODEV, 0, NULL, NULL },
	{ "a second mapping", keep_other_mapping, GOT_SIGBUS, 0, NULL, NULL },
	{ "a thousand mappings", keep_many_mappings, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping moved elsewhere", keep_moved, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping without rights, given them later", keep_protected, GOT_SIGBUS, 0, NULL,
	  NULL },
	{ "a mapping locked in memory", keep_locked, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping in a forked child", keep_in_fork, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping in a grandchild", keep_in_grandchild, GOT_SIGBUS, 0, NULL, NULL },
	{ "the descriptor in a forked child", keep_descriptor_in_fork, ENODEV, 0, NULL, NULL },
	{ "a mapping in a third process", keep_mapped_elsewhere, GOT_SIGBUS, 0, NULL, NULL },
	{ "the descriptor in a third process", keep_passed, ENODEV, 0, NULL, NULL },
	{ "the descriptor on its way to a process", keep_in_flight, ENODEV, 0, NULL, NULL },
	{ "an O_PATH descriptor, opened", keep_path, EACCES, ENXIO, NULL, NULL },
	{ "an O_PATH descriptor, mapped", keep_mapped_path, EBADF, 0, NULL, NULL },
	{ "the descriptor over exec()", keep_over_exec, ENODEV, 0, NULL, NULL },
	{ "a mapping in a new user namespace", keep_in_namespace, GOT_SIGBUS, 0, NULL, NULL },
	{ "the descriptor in io_uring", keep_in_ring, ENODEV, 0, NULL, NULL },
	{ "the descriptor of a sibling", keep_taken_from_sibling, ENODEV, 0, NULL, NULL },
	{ "a mapping beyond the holder's death", keep_beyond_death, GOT_SIGBUS, 0, NULL, NULL },
	{ "a mapping beyond the release", keep_beyond_release, GOT_SIGBUS, 0, NULL, NULL },
};

const struct attack_group keep_group = { GROUP("keep", attacks), .channel = false };

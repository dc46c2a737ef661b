/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* Mappings that are made, changed and taken down while their buffers are revoked. */

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "stress.h"

#define HUGE (UINT64_C(2) << 20)

void *
stress_map(int fd, uint64_t offset, uint64_t length)
{
	void *mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (mapping != MAP_FAILED) {
		stress_state->maps++;
		return mapping;
	}
	if (errno != ENODEV)
		stress_wrong("mmap", errno);
	stress_state->refused_maps++;
	return NULL;
}

/* The child touches what it has inherited; all buffers of before are closed in it at its end. */
static void
touch_in_child(const struct loan *loan, void *mapping)
{
	pid_t child, ended;

	pthread_rwlock_rdlock(&stress_device_lock);
	child = fork();
	if (child == 0) {
		struct loan inherited = *loan;

		inherited.who = "forked child";
		vfio_close(&target.dev);
		for (int i = 0; i < 20; i++)
			stress_touch(&inherited, mapping);
		_exit(0);
	}
	do {
		ended = child < 0 ? 0 : waitpid(child, NULL, 0);
	} while (ended < 0 && errno == EINTR);
	pthread_rwlock_unlock(&stress_device_lock);
	stress_state->forks++;
}

static void *
move(void *mapping)
{
	void *elsewhere = mmap(NULL, target.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *moved;

	if (elsewhere == MAP_FAILED)
		return mapping;
	moved = mremap(mapping, target.page, target.page, MREMAP_MAYMOVE | MREMAP_FIXED,
		       elsewhere);
	if (moved != MAP_FAILED)
		return moved;
	stress_wrong("mremap", errno);
	munmap(elsewhere, target.page);
	return mapping;
}

static void
protect(const struct loan *loan, void *mapping)
{
	static const int protections[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE };

	for (int i = 0; i < 3; i++) {
		if (mprotect(mapping, target.page, protections[i]))
			stress_wrong("mprotect", errno);
		if (protections[i] != PROT_NONE)
			stress_touch(loan, mapping);
		else if (touch(mapping, NULL) != SIGSEGV)
			stress_wrong("touch of PROT_NONE", 0);
	}
}

void *
stress_map_and_change(void *arg)
{
	struct loan loan;

	for (unsigned int i = 0; !stress_state->stop; i++) {
		void *mapping;

		loan.who = "thread with a mapping";
		if (!stress_borrow(i % NR_SHARED, &loan))
			continue;
		mapping = stress_map(loan.fd, 0, target.page);
		if (!mapping) {
			stress_return(&loan);
			usleep(200);
			continue;
		}
		stress_touch(&loan, mapping);
		switch (i % 4) {
		case 0:
			mapping = move(mapping);
			loan.who = "thread with a moved mapping";
			break;
		case 1:
			protect(&loan, mapping);
			break;
		case 2:
			if (i % 32 == 2)
				touch_in_child(&loan, mapping);
			break;
		}
		for (int n = 0; n < 50; n++)
			stress_touch(&loan, mapping);
		munmap(mapping, target.page);
		stress_return(&loan);
	}
	return arg;
}

/*
 * At a place where the addresses agree with those of the BAR modulo 2 MiB. Moved there in one
 * step: no other thread may map at an address that is free for a moment only.
 */
static char *
map_aligned(int fd, uint64_t size)
{
	char *hole, *at, *moved, *mapping = stress_map(fd, 0, size);

	if (!mapping)
		return NULL;
	hole = mmap(NULL, size + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (hole == MAP_FAILED)
		return mapping;
	at = hole + HUGE - (uintptr_t)hole % HUGE + target.bar_phys % HUGE;
	moved = mremap(mapping, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at);
	if (moved == MAP_FAILED) {
		stress_wrong("mremap to an aligned place", errno);
		return mapping;
	}
	munmap(hole, at - hole);
	munmap(at + size, hole + 2 * HUGE - at);
	return moved;
}

/* Takes a page out; something has to be there, or another thread would map there. */
static void
make_hole(char *mapping, uint64_t offset)
{
	if (mmap(mapping + offset, target.page, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		stress_wrong("mmap in place of a page", errno);
}

static void
touch_own(const char *mapping, uint64_t size, unsigned int *seed, bool revoked)
{
	for (int i = 0; i < 50; i++) {
		uint64_t offset = rand_r(seed) % (size / target.page) * target.page;
		int signal = touch((const volatile uint32_t *)(const void *)(mapping + offset),
				   NULL);

		stress_state->touches++;
		stress_state->faults += signal == SIGBUS;
		/* SIGSEGV: in the hole that was made there. */
		if (revoked && signal == 0)
			stress_escape("owner of a large buffer", signal);
		if (signal && signal != SIGBUS && signal != SIGSEGV)
			stress_wrong("touch of an own buffer", signal);
	}
}

/* Buffers of many pages, huge ones where the BAR has them, that this thread itself revokes. */
void *
stress_own_buffers(void *arg)
{
	uint64_t size = target.bar_size >= 2 * HUGE ? 2 * HUGE : target.bar_size / 2;
	unsigned int seed = 1;

	size = size / target.page * target.page;
	while (size && !stress_state->stop) {
		char *mapping;
		int fd;

		pthread_rwlock_rdlock(&stress_device_lock);
		fd = export_pages(0, size / target.page);
		mapping = fd < 0 ? NULL : map_aligned(fd, size);
		if (mapping) {
			touch_own(mapping, size, &seed, false);
			make_hole(mapping,
				  rand_r(&seed) % (size / target.page) * target.page);
			touch_own(mapping, size, &seed, false);
		}
		if (fd >= 0 && revoke_slice(&target.dev, fd))
			stress_wrong("revoke of an own buffer", errno);
		else if (mapping)
			touch_own(mapping, size, &seed, true);
		pthread_rwlock_unlock(&stress_device_lock);
		stress_state->own_revokes++;
		if (fd >= 0)
			close(fd);
		if (mapping)
			munmap(mapping, size);
		usleep(1000);
	}
	return arg;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * In place of lib/bar_slice: a file in memory for each exported slice. Revoking it writes a mark
 * into the file, which every process that has it can read.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lease_world.h"

#define MAX_EVENTS 8192
#define MAX_EXPORTS 4096
#define MAX_MAPPINGS 64

/* Words of the file. */
#define MARK_REVOKED 0
#define MARK_TOUCHED 1

static struct {
	enum event_kind kind;
	unsigned int slice;
} events[MAX_EVENTS];
static unsigned int nb_events;

static struct {
	ino_t inode;
	unsigned int slice;
} exports[MAX_EXPORTS];
static unsigned int nb_exports;

static struct {
	uint32_t *_Atomic address;
	bool off;
	bool lost;
	bar_slice_lost_fn fn;
	void *arg;
} mappings[MAX_MAPPINGS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void fake_slice_forget(void);
void note_event(enum event_kind kind, unsigned int slice);

void
fake_slice_forget(void)
{
	nb_events = 0;
	nb_exports = 0;
}

void
note_event(enum event_kind kind, unsigned int slice)
{
	pthread_mutex_lock(&lock);
	if (nb_events < MAX_EVENTS) {
		events[nb_events].kind = kind;
		events[nb_events++].slice = slice;
	}
	pthread_mutex_unlock(&lock);
}

unsigned int
count_events(enum event_kind kind, unsigned int slice)
{
	unsigned int i, count = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nb_events; i++)
		if (events[i].kind == kind && events[i].slice == slice)
			count++;
	pthread_mutex_unlock(&lock);
	return count;
}

int
last_event(enum event_kind kind, unsigned int slice)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = (int)nb_events - 1; i >= 0; i--)
		if (events[i].kind == kind && events[i].slice == slice)
			break;
	pthread_mutex_unlock(&lock);
	return i;
}

const char *
bar_slice_error(void)
{
	return "the fake was told to fail";
}

int
bar_slice_export(int device_fd, const struct bar_slice_support *support, unsigned int bar,
		 uint64_t offset, uint64_t length, const char *name,
		 enum bar_slice_memattr memattr)
{
	struct stat status;
	int fd;

	if (world.owner_uses != 0)
		world.granted_while_used = true;
	if (world.export_error != 0)
		return world.export_error;
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)length) != 0 || fstat(fd, &status) != 0) {
		close(fd);
		return -errno;
	}
	pthread_mutex_lock(&lock);
	exports[nb_exports % MAX_EXPORTS].inode = status.st_ino;
	exports[nb_exports++ % MAX_EXPORTS].slice = (unsigned int)(offset / PAGE);
	pthread_mutex_unlock(&lock);
	note_event(EVENT_EXPORT, (unsigned int)(offset / PAGE));
	return fd;
}

int
bar_slice_revoke(int device_fd, const struct bar_slice_support *support, int dmabuf_fd)
{
	uint32_t mark = 1;
	struct stat status;
	unsigned int i;

	if (world.revoke_error != 0)
		return world.revoke_error;
	if (fstat(dmabuf_fd, &status) != 0)
		return -EBADF;
	for (i = 0; i < nb_exports && exports[i].inode != status.st_ino; i++)
		;
	if (i == nb_exports)
		return -EINVAL;
	note_event(EVENT_REVOKE, exports[i].slice);
	if (is_revoked(dmabuf_fd))
		return -EBADFD;
	return pwrite(dmabuf_fd, &mark, sizeof(mark), MARK_REVOKED) == sizeof(mark) ? 0 : -EIO;
}

bool
is_revoked(int dmabuf)
{
	uint32_t mark = 0;

	return pread(dmabuf, &mark, sizeof(mark), MARK_REVOKED) != sizeof(mark) || mark != 0;
}

int
bar_slice_map(int dmabuf_fd, size_t length, bar_slice_lost_fn lost, void *arg, void **address)
{
	unsigned int i;
	void *mapping;

	if (world.map_error != 0) {
		world.failed_maps++;
		return world.map_error;
	}
	if (is_revoked(dmabuf_fd))
		return -ENODEV;
	mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf_fd, 0);
	if (mapping == MAP_FAILED)
		return -errno;
	for (i = 0; mappings[i].address != NULL; i++)
		assert_true(i + 1 < MAX_MAPPINGS);
	mappings[i].off = false;
	mappings[i].lost = false;
	mappings[i].fn = lost;
	mappings[i].arg = arg;
	mappings[i].address = mapping;
	*address = mapping;
	return 0;
}

int
bar_slice_unmap(void *address, size_t length)
{
	unsigned int i;

	for (i = 0; i < MAX_MAPPINGS; i++) {
		if (mappings[i].address != address)
			continue;
		mappings[i].address = NULL;
		return munmap(address, length);
	}
	return -EINVAL;
}

unsigned int
count_mappings(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < MAX_MAPPINGS; i++)
		count += mappings[i].address != NULL;
	return count;
}

void
page_off(void *address)
{
	unsigned int i;

	for (i = 0; i < MAX_MAPPINGS; i++)
		if (mappings[i].address == address)
			mappings[i].off = true;
}

bool
touch(void *address)
{
	unsigned int i;

	for (i = 0; mappings[i].address != address; i++)
		assert_true(i + 1 < MAX_MAPPINGS);
	if (!mappings[i].off && mappings[i].address[MARK_REVOKED] == 0) {
		mappings[i].address[MARK_TOUCHED] = 1;
		return true;
	}
	if (!mappings[i].lost) {
		mappings[i].lost = true;
		mappings[i].fn(mappings[i].arg);
	}
	return false;
}

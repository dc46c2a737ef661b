/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Revokes a doorbell page while a process on every processor writes to it, many times over.
 *
 * Each round exports the page of virtqueue 0 anew, which every writer then rings with the round's
 * number. When all of them have, they are told to ring without end, and after a random while the
 * page is revoked. The owner of the device marks the moments before and after with the same number,
 * in the doorbells of virtqueues MARK_BEGIN and MARK_END, so that who watches the device needs no
 * clock to tell a late write. A writer rings on until the page has faulted a few times, and then
 * waits for the next.
 *
 * Prints what was written as one line of JSON.
 *
 * usage: revoke-race DEVICE ROUNDS
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bar_slice.h>
#include <bar_slice_doorbell.h>
#include <vfio_device.h>

#include "clock.h"
#include "fd_message.h"

#define MAX_WRITERS 64
#define FAULTS_ENOUGH 3		/* of one page: it will not come back */
#define SPINS 5000		/* at most, before the revoke */
#define STAY 16			/* rounds that the owner stays on a processor */
#define PATIENCE_S 30
#define MARK_BEGIN 1
#define MARK_END 2
#define PAGES (MARK_END + 1)

#define CAP_VENDOR 0x09		/* PCI 3.0, appendix H */
#define CAP_NOTIFY_CFG 2	/* VIRTIO 1.2, 4.1.4.4 */

struct writer {
	uint64_t rung;		/* writes that raised no signal */
	uint64_t faults;
} __attribute__((aligned(64)));

struct notify {
	unsigned int bar;
	uint64_t offset;
};

/* Shared by all processes. */
static struct {
	uint32_t race;		/* the round whose page is to be rung without end; atomic */
	struct writer writers[MAX_WRITERS];
} *shared;
static struct writer *writers;
static int channels[MAX_WRITERS];
static int nb_writers;
static sigjmp_buf after_fault;

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("revoke-race: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

static void
run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fail("CPU %d: %s", cpu, strerror(errno));
}

/* ---- A slice on its way to a writer ---- */

static void
send_slice(int channel, uint32_t round, int slice)
{
	if (fd_message_send(channel, &round, sizeof(round), slice, 1, 0) != sizeof(round))
		fail("a writer: %s", strerror(errno));
}

/* False at the end. */
static bool
receive_slice(int channel, uint32_t *round, int *slice)
{
	*slice = -1;
	return fd_message_receive(channel, round, sizeof(*round), slice) == sizeof(*round) &&
	       *slice >= 0;
}

/* ---- A writer ---- */

static void
on_sigbus(int signo)
{
	siglongjmp(after_fault, signo);
}

/* That it rings, and then that it cannot any more. */
static void
tell_owner(int channel)
{
	if (send(channel, "", 1, 0) != 1)
		fail("the owner: %s", strerror(errno));
}

/* The kernel's mapping as it is: the library's guard would hide all faults but the first. */
static void
ring_until_revoked(struct writer *me, int channel, volatile uint32_t *page, uint32_t round)
{
	const uint64_t before = me->rung;
	const uint64_t enough = me->faults + FAULTS_ENOUGH;

	if (sigsetjmp(after_fault, 0) != 0)
		me->faults++;
	while (me->faults < enough) {
		bar_slice_ring_doorbell_data(page, round);
		if (me->rung++ == before)
			tell_owner(channel);
		while (__atomic_load_n(&shared->race, __ATOMIC_ACQUIRE) != round)
			;
	}
	tell_owner(channel);
}

static void
write_for_ever(struct writer *me, int channel, int cpu)
{
	/* Not deferred: the handler is left by a jump that restores no mask. */
	struct sigaction action = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	const size_t length = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t round;
	void *page;
	int slice;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(cpu);
	sigaction(SIGBUS, &action, NULL);
	while (receive_slice(channel, &round, &slice)) {
		page = mmap(NULL, length, PROT_WRITE, MAP_SHARED, slice, 0);
		if (page == MAP_FAILED)
			fail("round %u: mmap: %s", round, strerror(errno));
		close(slice);
		ring_until_revoked(me, channel, page, round);
		munmap(page, length);
	}
	_exit(0);
}

static void
start_writers(void)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int ends[2], i;
	pid_t child;

	nb_writers = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (nb_writers > MAX_WRITERS)
		nb_writers = MAX_WRITERS;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	writers = shared->writers;
	for (i = 0; i < nb_writers; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
			fail("socketpair: %s", strerror(errno));
		child = fork();
		if (child < 0)
			fail("fork: %s", strerror(errno));
		if (child == 0) {
			close(ends[0]); /* else its end of file would never come */
			write_for_ever(&writers[i], ends[1], i);
		}
		close(ends[1]);
		setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		channels[i] = ends[0];
	}
}

/* ---- The owner of the device ---- */

/* VIRTIO 1.2, 4.1.4: bar, offset and length at 4, 8 and 12; the kind of structure at 3. */
static struct notify
find_notify(const struct vfio_device *device)
{
	uint32_t offset, length, multiplier;
	uint8_t kind, bar;
	int cap = 0;

	while ((cap = vfio_device_find_capability(device, CAP_VENDOR, (uint8_t)cap)) > 0) {
		if (vfio_device_config_read(device, (uint32_t)cap + 3, &kind, 1) != 0 ||
		    vfio_device_config_read(device, (uint32_t)cap + 4, &bar, 1) != 0 ||
		    vfio_device_config_read(device, (uint32_t)cap + 8, &offset, 4) != 0 ||
		    vfio_device_config_read(device, (uint32_t)cap + 12, &length, 4) != 0 ||
		    vfio_device_config_read(device, (uint32_t)cap + 16, &multiplier, 4) != 0)
			break;
		if (kind == CAP_NOTIFY_CFG && multiplier == (uint32_t)sysconf(_SC_PAGESIZE) &&
		    length >= PAGES * multiplier)
			return (struct notify){ bar, offset };
	}
	fail("no doorbells that lie one to a page");
}

/* A timer would come late: to an emulator, which has one lock, all writers are in its way. */
static void
spin(long turns)
{
	volatile long left = turns;

	while (left > 0)
		left--;
}

/* That they ring, or cannot any more. */
static void
hear_all(uint32_t round, const char *what)
{
	char word;
	int i;

	for (i = 0; i < nb_writers; i++)
		if (recv(channels[i], &word, 1, 0) != 1)
			fail("round %u: a writer %s: %s", round, what, strerror(errno));
}

/* Return how long the revoke took, in nanoseconds. */
static uint64_t
race(int fd, const struct bar_slice_support *support, const struct notify *notify,
	volatile uint8_t *doorbells, uint32_t round)
{
	const long page = sysconf(_SC_PAGESIZE);
	uint64_t took;
	int slice, i;

	/* A writer that shares the owner's processor stands still then: each is spared in turn. */
	run_on((int)(round / STAY) % nb_writers);
	slice = bar_slice_export(fd, support, notify->bar, notify->offset, (uint64_t)page,
				 "raced", BAR_SLICE_WRITE_COMBINED);
	if (slice < 0)
		fail("round %u: %s", round, bar_slice_error());
	for (i = 0; i < nb_writers; i++)
		send_slice(channels[i], round, slice);
	hear_all(round, "does not ring");
	__atomic_store_n(&shared->race, round, __ATOMIC_RELEASE);
	spin(random() % SPINS);

	bar_slice_ring_doorbell_data((volatile void *)(doorbells + MARK_BEGIN * page), round);
	took = now_ns();
	if (bar_slice_revoke(fd, support, slice) != 0)
		fail("round %u: %s", round, bar_slice_error());
	took = now_ns() - took;
	bar_slice_ring_doorbell_data((volatile void *)(doorbells + MARK_END * page), round);

	close(slice);
	hear_all(round, "rings on after the revoke");
	return took;
}

static void
print_results(uint32_t rounds, uint64_t total_ns, uint64_t worst_ns)
{
	uint64_t rung = 0, faults = 0;
	int i;

	for (i = 0; i < nb_writers; i++) {
		rung += writers[i].rung;
		faults += writers[i].faults;
	}
	printf("{\"rounds\":%u,\"writers\":%d,\"rung\":%" PRIu64 ",\"faults\":%" PRIu64
	       ",\"mean_us\":%" PRIu64 ",\"worst_us\":%" PRIu64 "}\n", rounds, nb_writers, rung,
	       faults, total_ns / rounds / 1000, worst_ns / 1000);
}

int
main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 1 };
	uint64_t took, total = 0, worst = 0;
	struct bar_slice_support support;
	struct vfio_device *device;
	struct notify notify;
	uint32_t rounds, round;
	void *doorbells;
	int i;

	if (argc != 3 || (rounds = (uint32_t)atoi(argv[2])) == 0)
		fail("usage: revoke-race DEVICE ROUNDS");
	start_writers();
	if (vfio_device_open(argv[1], &device) != 0)
		fail("%s", vfio_device_error());
	notify = find_notify(device);
	if (bar_slice_probe(vfio_device_fd(device), &support) != 0)
		fail("%s", bar_slice_error());
	if (vfio_device_map_bar(device, notify.bar, notify.offset,
				PAGES * (size_t)sysconf(_SC_PAGESIZE), &doorbells) != 0)
		fail("%s", vfio_device_error());
	/* Writers never sleep; who waits for them must be next when it wakes up. */
	if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
		fail("SCHED_FIFO: %s", strerror(errno));
	srandom((unsigned int)now_ns());
	for (round = 1; round <= rounds; round++) {
		took = race(vfio_device_fd(device), &support, &notify, doorbells, round);
		total += took;
		worst = took > worst ? took : worst;
	}
	print_results(rounds, total, worst);
	for (i = 0; i < nb_writers; i++)
		close(channels[i]);
	while (wait(NULL) > 0)
		;
	vfio_device_close(device, 0);
	return 0;
}

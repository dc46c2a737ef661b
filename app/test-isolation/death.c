/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>

#include <bar_lease_private.h>

#include "clock.h"
#include "death.h"

#define MEGABYTE (1 << 20)
#define TRAP_FLAG "0x100"	/* of RFLAGS: Intel SDM volume 1, 3.4.3.3 */

static struct {
	bool made;
	enum death_point point;
	void (*die)(void);
	long left;		/* times or instructions */
	volatile uint64_t *at;
} plan;

static __thread int granted = -1;	/* the descriptor that has just arrived */
static rte_mempool_enqueue_t put;
static volatile uint8_t sink;

/* ---- Ways: all of them may be called in a signal handler, but for the last one ---- */

static void
die_of_kill(void)
{
	kill(getpid(), SIGKILL);
}

static void
die_of_segv(void)
{
	*(volatile uint8_t *)(uintptr_t)sink = 0;
}

static void
die_of_exit(void)
{
	_exit(0);
}

/* Who plans this has set a limit. */
static void
die_of_oom(void)
{
	uint8_t *memory;

	for (;;) {
		memory = mmap(NULL, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
		if (memory == MAP_FAILED)
			abort();
		memset(memory, 1, MEGABYTE);
		*plan.at = now_ns();
	}
}

static void
hang(void)
{
	for (;;)
		pause();
}

static void
stop(void)
{
	kill(getpid(), SIGSTOP);
	hang();
}

static void
die_of_exec(void)
{
	execl("/bin/sleep", "sleep", "0.3", (char *)NULL);
	abort();
}

/* Without an end: nobody sets the sink meanwhile. */
static void
fall(void)
{
	volatile uint8_t frame[4096];

	frame[0] = sink;
	if (frame[0] == 0)
		fall();
	sink = frame[0];
}

static void *
overflow(void *arg)
{
	fall();
	return arg;
}

static void
die_of_stack(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, overflow, NULL) != 0)
		abort();
	hang();
}

static const struct {
	const char *name;
	void (*die)(void);
} ways[] = {
	{ "kill", die_of_kill },
	{ "segv", die_of_segv },
	{ "abort", abort },
	{ "exit", die_of_exit },
	{ "oom", die_of_oom },
	{ "stop", stop },
	{ "hang", hang },
	{ "exec", die_of_exec },
	{ "stack", die_of_stack },
};

static const char *const points[] = {
	[DEATH_NOW] = "now",
	[DEATH_HELLO] = "hello",
	[DEATH_REQUEST] = "request",
	[DEATH_GRANT] = "grant",
	[DEATH_MAP] = "map",
	[DEATH_BURST] = "burst",
	[DEATH_PUT] = "put",
};

/* ---- The moment ---- */

/* Once more, and maybe for the last time. */
static void
count_down(void)
{
	if (--plan.left > 0)
		return;
	plan.made = false;
	*plan.at = now_ns();
	plan.die();
}

static void
pass(enum death_point point)
{
	if (death_awaits(point))
		count_down();
}

static void
on_instruction(int signo)
{
	count_down();
}

int
death_plan(const char *text, volatile uint64_t *died_at)
{
	struct sigaction action = { .sa_handler = on_instruction };
	char point[16], way[16];
	unsigned int i, j;
	long count;

	if (sscanf(text, "%15s %15s %ld", point, way, &count) != 3 || count <= 0)
		return -1;
	for (i = 0; i < RTE_DIM(points) && strcmp(points[i], point) != 0; i++)
		;
	for (j = 0; j < RTE_DIM(ways) && strcmp(ways[j].name, way) != 0; j++)
		;
	if (i == RTE_DIM(points) || j == RTE_DIM(ways))
		return -1;
	sigaction(SIGTRAP, &action, NULL);
	plan.point = i;
	plan.die = ways[j].die;
	plan.left = count;
	plan.at = died_at;
	__atomic_store_n(&plan.made, true, __ATOMIC_RELEASE);
	pass(DEATH_NOW);
	return 0;
}

bool
death_awaits(enum death_point point)
{
	return __atomic_load_n(&plan.made, __ATOMIC_ACQUIRE) && plan.point == point;
}

/* A trap after each instruction from here on; below the red zone of whoever was inlined. */
void
death_enter(enum death_point point)
{
	if (death_awaits(point))
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $" TRAP_FLAG ", (%%rsp); "
				 "popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

void
death_leave(enum death_point point)
{
	if (death_awaits(point))
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~" TRAP_FLAG ", (%%rsp); "
				 "popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

static int
watched_put(struct rte_mempool *pool, void *const *objects, unsigned int count)
{
	int ret;

	death_enter(DEATH_PUT);
	ret = put(pool, objects, count);
	death_leave(DEATH_PUT);
	return ret;
}

void
death_watch_puts(const struct rte_mempool *pool)
{
	struct rte_mempool_ops *ops = rte_mempool_get_ops(pool->ops_index);

	if (put == NULL) {
		put = ops->enqueue;
		ops->enqueue = watched_put; /* the table is this process' own */
	}
}

/* ---- The handshake, as these functions see it ---- */

static enum lease_message_type
type_of(const struct msghdr *msg)
{
	const struct lease_message *message;

	if (msg->msg_iovlen != 1 || msg->msg_iov->iov_len != sizeof(*message))
		return 0;
	message = msg->msg_iov->iov_base;
	return message->version == LEASE_PROTOCOL_VERSION ? message->type : 0;
}

static void *
original(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		abort();
	return function;
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static ssize_t (*next)(int fd, const struct msghdr *msg, int flags);
	ssize_t ret;

	if (next == NULL)
		next = original(__func__);
	if (type_of(msg) == LEASE_HELLO)
		pass(DEATH_HELLO);
	ret = next(fd, msg, flags);
	if (type_of(msg) == LEASE_REQUEST)
		pass(DEATH_REQUEST);
	return ret;
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	static ssize_t (*next)(int fd, struct msghdr *msg, int flags);
	struct cmsghdr *header;
	ssize_t ret;

	if (next == NULL)
		next = original(__func__);
	ret = next(fd, msg, flags);
	if (ret <= 0 || type_of(msg) != LEASE_GRANT)
		return ret;
	for (header = CMSG_FIRSTHDR(msg); header != NULL; header = CMSG_NXTHDR(msg, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
			memcpy(&granted, CMSG_DATA(header), sizeof(granted));
	pass(DEATH_GRANT);
	return ret;
}

void *
mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	static void *(*next)(void *address, size_t length, int protection, int flags, int fd,
			     off_t offset);
	void *mapping;

	if (next == NULL)
		next = original(__func__);
	mapping = next(address, length, protection, flags, fd, offset);
	if (fd >= 0 && fd == granted) {
		granted = -1;
		pass(DEATH_MAP);
	}
	return mapping;
}

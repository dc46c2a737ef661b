/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Attacks of an unprivileged process on a lessor, in TAP: each is ok that was refused as expected,
 * with the error that it got.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "hostile.h"

#define PATIENCE_S 60

static const char usage[] =
	"usage: hostile SOCKET PRIMARY-PID BDF KEPT MINE OTHERS PRIMARYS DENIED [TEXT]\n"
	"       hostile --stock SECONDARY-PID PRIMARY-PID BDF OFFSET UID [TEXT]\n"
	"       hostile --honest SOCKET SLICE\n"
	"\n"
	"KEPT, MINE, OTHERS, PRIMARYS and DENIED are slices: two that are free and may be leased,\n"
	"the first of them never rung before it is revoked, and some that cannot be had.\n"
	"TEXT: the attacks with it in their line. With --stock, as a secondary of a stock driver:\n"
	"with the device that this process has, in which the page is at OFFSET. With --honest,\n"
	"asks for a slice that is held until standard input ends, then tells how long the answers\n"
	"took.\n";

struct victim victim;

/** The slice for attacks that keep it: what rings it has outlived a revoke. */
static uint32_t kept;

static const struct attack_group *const groups[] = {
	&page_group, &device_group, &primary_group, &keep_group, &channel_group, &race_group,
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int result_pipe;

struct result {
	int got;
	char cannot[48];	/**< why it could not begin */
};

static void
tell(int got, const char *cannot)
{
	struct result result = { .got = got };

	snprintf(result.cannot, sizeof(result.cannot), "%s", cannot);
	if (write(result_pipe, &result, sizeof(result)) != sizeof(result))
		_exit(1);
}

void
cannot_begin(const char *what)
{
	tell(0, what);
	_exit(1);
}

static const char *
describe(int got)
{
	static char text[64];

	switch (got) {
	case WORKED:
		return "success";
	case GOT_SIGBUS:
		return "SIGBUS";
	case GOT_SIGSEGV:
		return "SIGSEGV";
	case HUNG_UP_ON:
		return "hung up on";
	case NO_EFFECT:
		return "no effect";
	case NOT_HERE:
		return "not on this machine";
	}
	snprintf(text, sizeof(text), "%s (%s)", strerrorname_np(got), strerror(got));
	return text;
}

/** In a session of its own, which is killed with all that it has left. */
static bool
attempt(const struct attack_group *group, const struct attack *attack, struct result *result)
{
	int pair[2], status;
	ssize_t length;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		setsid();
		alarm(PATIENCE_S);
		if (group == &keep_group)
			victim.mine = kept;
		result_pipe = pair[1];
		tell(attack->run(attack->arg), "");
		_exit(0);
	}
	close(pair[1]);
	length = read(pair[0], result, sizeof(*result));
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pair[0]);
	return length == sizeof(*result);
}

static unsigned int worked, refused, absent, failed;

/** How the line begins. */
static const char *
judge(const struct attack *attack, const struct result *result, bool ended)
{
	if (!ended || result->cannot[0] != '\0') {
		failed++;
		return "not ok";
	}
	if (result->got == NOT_HERE) {
		absent++;
		return "ok";
	}
	if (result->got == WORKED)
		worked += attack->harmless == NULL;
	else
		refused++;
	if (victim.stock || result->got == attack->expected ||
	    (result->got == WORKED && attack->harmless != NULL) ||
	    (attack->or_else != 0 && result->got == attack->or_else))
		return "ok";
	failed++;
	return "not ok";
}

static void
print(unsigned int number, const char *group, const struct attack *attack,
	const struct result *result, bool ended)
{
	printf("%s %u - %s: %s: ", judge(attack, result, ended), number, group, attack->name);
	if (!ended)
		printf("ended early, or took too long");
	else if (result->cannot[0] != '\0')
		printf("could not begin: %s", result->cannot);
	else
		printf("%s", describe(result->got));
	if (ended && result->got == NOT_HERE)
		printf(" # SKIP");
	else if (attack->harmless != NULL && result->got == WORKED)
		printf("; harmless: %s", attack->harmless);
	else if (!victim.stock && ended && result->got != attack->expected)
		printf(", expected %s", describe(attack->expected));
	printf("\n");
}

static void
run_all(const char *text)
{
	unsigned int number = 0;
	struct result result;
	char line[160];
	size_t i, j;
	bool ended;

	for (i = 0; i < N(groups); i++) {
		if (victim.stock && groups[i]->channel)
			continue;
		for (j = 0; j < groups[i]->n_attacks; j++) {
			const struct attack *attack = &groups[i]->attacks[j];

			snprintf(line, sizeof(line), "%s: %s", groups[i]->name, attack->name);
			if (strstr(line, text) == NULL)
				continue;
			memset(&result, 0, sizeof(result));
			ended = attempt(groups[i], attack, &result);
			print(++number, groups[i]->name, attack, &result, ended);
		}
	}
	printf("1..%u\n", number);
	printf("# %u attacks: %u refused, %u worked, %u not on this machine, %u not as expected\n",
	       number, refused, worked, absent, failed);
}

/* ---- As a secondary of a stock driver ---- */

/** The device's descriptor among those of another process. */
static int
find_device(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd, copy;
	char path[64], target[64];
	ssize_t length;

	for (fd = 3; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		if (strstr(target, "vfio-device") == NULL)
			continue;
		copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		if (copy >= 0)
			return copy;
	}
	return -1;
}

/* ---- An honest lessee ---- */

#define MAX_ANSWERS 100000

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t
clock_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static int
be_honest(uint32_t slice)
{
	static uint64_t took[MAX_ANSWERS];
	const struct timespec pause = { .tv_nsec = 10000000 };
	int channel, fd, ret = EBUSY;
	unsigned int n = 0;
	uint64_t began;
	char byte;

	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	channel = channel_greeted();
	while (n < MAX_ANSWERS && ret == EBUSY && read(STDIN_FILENO, &byte, 1) != 0) {
		began = clock_us();
		ret = channel_ask(channel, slice, &fd, NULL);
		took[n++] = clock_us() - began;
		nanosleep(&pause, NULL);
	}
	qsort(took, n, sizeof(took[0]), compare);
	printf("%u requests, last %s; answered in us: median %ju, p99 %ju, worst %ju\n", n,
	       describe(ret), (uintmax_t)took[n / 2], (uintmax_t)took[n - 1 - n / 100],
	       (uintmax_t)took[n - 1]);
	return ret == EBUSY ? 0 : 1;
}

static int
wrong_use(void)
{
	fputs(usage, stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	victim.page = (size_t)sysconf(_SC_PAGESIZE);
	result_pipe = STDERR_FILENO;
	if (argc == 4 && strcmp(argv[1], "--map") == 0)
		return map_and_touch(atoi(argv[2]), strtoll(argv[3], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "--honest") == 0) {
		victim.socket = argv[2];
		return be_honest((uint32_t)atoi(argv[3]));
	}
	if (argc < 7)
		return wrong_use();
	if (strcmp(argv[1], "--stock") == 0) {
		victim.stock = true;
		victim.stock_fd = find_device(atoi(argv[2]));
		victim.primary = atoi(argv[3]);
		victim.bdf = argv[4];
		victim.stock_offset = strtoll(argv[5], NULL, 0);
		if (victim.stock_fd < 0 || setgroups(0, NULL) != 0 ||
		    setgid((gid_t)atoi(argv[6])) != 0 || setuid((uid_t)atoi(argv[6])) != 0) {
			fprintf(stderr, "process %s has no device, or no other user\n", argv[2]);
			return 1;
		}
		run_all(argc > 7 ? argv[7] : "");
		return 0;
	}
	if (argc < 9)
		return wrong_use();
	victim.socket = argv[1];
	victim.primary = atoi(argv[2]);
	victim.bdf = argv[3];
	kept = (uint32_t)atoi(argv[4]);
	victim.mine = (uint32_t)atoi(argv[5]);
	victim.others = (uint32_t)atoi(argv[6]);
	victim.primarys = (uint32_t)atoi(argv[7]);
	victim.denied = (uint32_t)atoi(argv[8]);
	run_all(argc > 9 ? argv[9] : "");
	return failed != 0;
}

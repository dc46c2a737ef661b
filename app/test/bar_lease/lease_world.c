/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_string_fns.h>

#include "lease_agent.h"
#include "lease_world.h"

struct world world;

static rte_mp_t action;
static struct rte_mp_msg answer;
static sem_t reset_gate;
static unsigned int descriptors_before;

void fake_slice_forget(void);
void note_event(enum event_kind kind, unsigned int slice);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
uint64_t __real_rte_get_tsc_hz(void);
uint64_t __wrap_rte_get_tsc_hz(void);
int __wrap_rte_mp_action_register(const char *name, rte_mp_t fn);
void __wrap_rte_mp_action_unregister(const char *name);
int __wrap_rte_mp_reply(struct rte_mp_msg *msg, const char *peer);
int __wrap_rte_mp_request_sync(struct rte_mp_msg *req, struct rte_mp_reply *reply,
			       const struct timespec *ts);

/* ---- rte_mp, within the process ---- */

int
__wrap_rte_mp_action_register(const char *name, rte_mp_t fn)
{
	if (action != NULL) {
		rte_errno = EEXIST;
		return -1;
	}
	action = fn;
	return 0;
}

void
__wrap_rte_mp_action_unregister(const char *name)
{
	action = NULL;
}

/* As over a socket: the receiver gets a descriptor of its own, not closed at exec. */
int
__wrap_rte_mp_reply(struct rte_mp_msg *msg, const char *peer)
{
	int i;

	answer = *msg;
	for (i = 0; i < msg->num_fds; i++)
		answer.fds[i] = dup(msg->fds[i]);
	return 0;
}

int
__wrap_rte_mp_request_sync(struct rte_mp_msg *req, struct rte_mp_reply *reply,
			   const struct timespec *ts)
{
	rte_mp_t handler = world.scripted_primary != NULL ? world.scripted_primary : action;

	memset(reply, 0, sizeof(*reply));
	if (world.reply_error != 0) {
		rte_errno = world.reply_error;
		return -1;
	}
	answer = (struct rte_mp_msg){ .name = "" };
	if (handler == NULL || handler(req, "lessee") != 0 || answer.name[0] == '\0') {
		rte_errno = ETIMEDOUT;
		return -1;
	}
	reply->nb_sent = 1;
	reply->nb_received = 1;
	reply->msgs = calloc(1, sizeof(answer));
	reply->msgs[0] = answer;
	return 0;
}

int
meet(void)
{
	struct timespec timeout = { .tv_sec = 1 };
	struct rte_mp_msg msg = { .len_param = sizeof(struct lease_rendezvous_request) };
	struct lease_rendezvous_request *request = (void *)msg.param;
	struct lease_rendezvous_reply reply;
	struct rte_mp_reply replies;
	int fd;

	strlcpy(msg.name, LEASE_ACTION, sizeof(msg.name));
	request->version = LEASE_PROTOCOL_VERSION;
	strlcpy(request->name, LESSOR_NAME, sizeof(request->name));
	assert_int_equal(__wrap_rte_mp_request_sync(&msg, &replies, &timeout), 0);
	memcpy(&reply, replies.msgs[0].param, sizeof(reply));
	fd = replies.msgs[0].num_fds == 1 ? replies.msgs[0].fds[0] : -1;
	free(replies.msgs);
	return reply.error != 0 ? reply.error : fd;
}

int
attach(void)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_HELLO,
	};
	struct lease_ancillary ancillary;
	struct pollfd readable = { .fd = meet(), .events = POLLIN };

	if (readable.fd < 0)
		return readable.fd;
	assert_int_equal(lease_send(readable.fd, &message, -1), 0);
	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(lease_receive(readable.fd, &message, &ancillary), 0);
	assert_int_equal(message.type, LEASE_WELCOME);
	return readable.fd;
}

/* The queues keep their default size: how large they may become is up to the machine. */
int
__wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	if (level == SOL_SOCKET && name == SO_SNDBUF)
		return 0;
	return __real_setsockopt(fd, level, name, value, length);
}

/* ---- Time ---- */

/* The lessee counts its pauses in seconds. */
uint64_t
__wrap_rte_get_tsc_hz(void)
{
	return __real_rte_get_tsc_hz() * (world.pauses_never_end ? 3600 : 1);
}

void
sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

bool
eventually(bool (*condition)(void *arg), void *arg)
{
	unsigned int i;

	for (i = 0; i < PATIENCE_MS; i++) {
		if (condition(arg))
			return true;
		sleep_ms(1);
	}
	return false;
}

static sem_t held, go;

static void
hold(void *arg)
{
	sem_post(&held);
	while (sem_wait(&go) != 0)
		;
}

void
interrupts_hold(void)
{
	assert_int_equal(rte_eal_alarm_set(1, hold, NULL), 0);
	while (sem_wait(&held) != 0)
		;
}

void
interrupts_go(void)
{
	sem_post(&go);
}

static void
nothing(void *arg)
{
}

void
interrupts_pass(void)
{
	assert_int_equal(lease_run(nothing, NULL), 0);
}

/* ---- The lessor ---- */

static int
reset(void *arg, unsigned int slice)
{
	siginfo_t info = { .si_pid = 0 };

	assert_ptr_equal(arg, &world);
	if (world.reset_watches != 0) {
		waitid(P_PID, (id_t)world.reset_watches, &info, WEXITED | WNOHANG | WNOWAIT);
		world.reset_saw_end = info.si_pid == world.reset_watches;
	}
	note_event(EVENT_RESET, slice);
	if (world.reset_waits)
		while (sem_wait(&reset_gate) != 0)
			;
	return world.reset_error;
}

static int
call(void *arg, uint32_t code, int32_t value)
{
	assert_ptr_equal(arg, &world);
	world.calls++;
	world.call_code = code;
	world.call_value = value;
	return code != 0 && code == world.failing_call ? -EPERM : world.call_result;
}

static pid_t
admit(void *arg, unsigned int slice, pid_t pid)
{
	assert_ptr_equal(arg, &world);
	assert_in_range(slice, 0, NB_SLICES - 1);
	return pid == world.in_the_way ? 0 : world.in_the_way;
}

static void
ended(void *arg, unsigned int slice, pid_t pid)
{
	assert_ptr_equal(arg, &world);
	assert_true(slice_info(slice).ended);
	assert_int_equal(slice_info(slice).former, pid);
	world.ended[slice]++;
}

static void
tell(void *arg, const struct bar_lease_event *event)
{
	assert_ptr_equal(arg, &world);
	if (world.nb_told < MAX_TOLD)
		world.told[world.nb_told] = *event;
	world.nb_told++;
}

static uint64_t
doorbells(void *arg, unsigned int slice)
{
	assert_ptr_equal(arg, &world);
	return world.doorbells[slice];
}

void
reset_go(void)
{
	sem_post(&reset_gate);
}

struct bar_lessor_conf
lessor_conf(void)
{
	static struct bar_lessor_slice slices[NB_SLICES];
	struct bar_lessor_conf conf = {
		.name = LESSOR_NAME,
		.device_fd = -1,
		.support = { .interface = BAR_SLICE_REVOKE_IOCTL, .memattr = 1 },
		.memattr = BAR_SLICE_WRITE_COMBINED,
		.slices = slices,
		.nb_slices = NB_SLICES,
		.reset = reset,
		.call = world.no_calls ? NULL : call,
		.admit = admit,
		.ended = ended,
		.counters = world.counters,
		.event = tell,
		.doorbells = doorbells,
		.arg = &world,
	};
	unsigned int i;

	for (i = 0; i < NB_SLICES; i++) {
		slices[i].bar = 4;
		slices[i].offset = i * PAGE;
		snprintf(slices[i].name, sizeof(slices[i].name), "queue%u", i);
	}
	return conf;
}

void
lessor_create(struct bar_lessor_conf *conf, const char *rules)
{
	struct bar_lease_rule policy[BAR_LEASE_MAX_RULES];
	char error[BAR_LEASE_ERROR_SIZE];
	int count = 0;

	if (rules != NULL) {
		count = bar_lease_parse_rules(rules, policy, error);
		assert_true(count > 0);
		conf->policy = policy;
		conf->nb_rules = (unsigned int)count;
	}
	assert_int_equal(bar_lessor_create(conf, &world.lessor), 0);
	bar_lessor_start(world.lessor);
}

const struct bar_lease_event *
told(enum bar_lease_event_type type, int slice)
{
	unsigned int i, count = world.nb_told;

	for (i = 0; i < count && i < MAX_TOLD; i++)
		if (world.told[i].type == type && (slice == -1 || world.told[i].slice == slice))
			return &world.told[i];
	return NULL;
}

struct tale {
	enum bar_lease_event_type type;
	int slice;
};

static bool
is_told(void *arg)
{
	const struct tale *tale = arg;

	return told(tale->type, tale->slice) != NULL;
}

const struct bar_lease_event *
wait_told(enum bar_lease_event_type type, int slice)
{
	struct tale tale = { .type = type, .slice = slice };

	if (!eventually(is_told, &tale))
		fail_msg("nothing was told of %s, slice %d", bar_lease_event_name(type), slice);
	return told(type, slice);
}

uint64_t
counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct bar_lease_info
slice_info(unsigned int slice)
{
	struct bar_lease_info info;

	assert_int_equal(bar_lessor_query(world.lessor, slice, &info), 0);
	return info;
}

enum bar_lease_state
slice_state(unsigned int slice)
{
	return slice_info(slice).state;
}

struct expectation {
	unsigned int slice;
	enum bar_lease_state state;
	enum event_kind kind;
	unsigned int count;
};

static bool
has_state(void *arg)
{
	struct expectation *expected = arg;

	return slice_state(expected->slice) == expected->state;
}

void
wait_state(unsigned int slice, enum bar_lease_state state)
{
	struct expectation expected = { .slice = slice, .state = state };

	if (!eventually(has_state, &expected))
		fail_msg("slice %u is %s, not %s", slice, bar_lease_state_name(slice_state(slice)),
			 bar_lease_state_name(state));
}

static bool
has_events(void *arg)
{
	struct expectation *expected = arg;

	return count_events(expected->kind, expected->slice) == expected->count;
}

void
wait_events(enum event_kind kind, unsigned int slice, unsigned int count)
{
	struct expectation expected = { .slice = slice, .kind = kind, .count = count };

	if (!eventually(has_events, &expected))
		fail_msg("slice %u: %u events of kind %d, not %u", slice,
			 count_events(kind, slice), kind, count);
}

/* ---- Fixtures ---- */

int
eal_setup(void **state)
{
	static char arguments[][20] = {
		"test", "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--no-telemetry",
		"-l", "0", "--log-level", "*:4",
	};
	char *argv[sizeof(arguments) / sizeof(arguments[0])];
	unsigned int i;

	for (i = 0; i < sizeof(argv) / sizeof(argv[0]); i++)
		argv[i] = arguments[i];
	sem_init(&held, 0, 0);
	sem_init(&go, 0, 0);
	if (rte_eal_init((int)i, argv) < 0)
		return -1;
	/* EAL registers its timer with the first alarm. */
	return lease_run(nothing, NULL);
}

int
eal_teardown(void **state)
{
	return rte_eal_cleanup();
}

/* But EAL's epoll descriptor, which is another one whenever it has something new to watch. */
unsigned int
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned int count = 0;
	char target[64];

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		memset(target, 0, sizeof(target));
		if (readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1) > 0 &&
		    strcmp(target, "anon_inode:[eventpoll]") != 0)
			count++;
	}
	closedir(folder);
	return count;
}

int
world_setup_empty(void **state)
{
	memset(&world, 0, sizeof(world));
	fake_slice_forget();
	sem_init(&reset_gate, 0, 0);
	descriptors_before = count_descriptors();
	return 0;
}

int
world_setup(void **state)
{
	struct bar_lessor_conf conf = lessor_conf();

	if (world_setup_empty(state) != 0 || bar_lessor_create(&conf, &world.lessor) != 0)
		return -1;
	bar_lessor_start(world.lessor);
	return 0;
}

static bool
descriptors_are_closed(void *arg)
{
	return count_descriptors() == descriptors_before;
}

int
world_teardown(void **state)
{
	bar_lessor_destroy(world.lessor);
	world.lessor = NULL;
	agents_end();
	if (!eventually(descriptors_are_closed, NULL)) {
		print_error("descriptors: %u before, %u after\n", descriptors_before,
			    count_descriptors());
		return -1;
	}
	return count_mappings() == 0 ? 0 : -1;
}

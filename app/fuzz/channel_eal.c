/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_errno.h>
#include <rte_interrupts.h>

#include "channel.h"
#include "channel_watch.h"

#undef poll
#undef recvmsg
#undef sendmsg
#undef setsockopt
#undef socketpair

/* Since Linux 6.5; Debian 12's C library headers are older. */
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/** Of a peer: its joining; its channel and its end; both ends of the channel, and a pidfd. */
#define MAX_ALARMS (BAR_LEASE_MAX_PEERS + 16)
#define MAX_WATCHES (2 * BAR_LEASE_MAX_PEERS + 16)
#define MAX_DESCRIPTORS (3 * BAR_LEASE_MAX_PEERS + 128)
#define MAX_TURNS 10000
/** That one channel is listened to in one turn. */
#define MAX_MESSAGES 64
#define NS_PER_US 1000u
#define NS_PER_MS 1000000u

struct process processes[N_PROCESSES];
void (*while_waiting)(void);
void (*on_grant_sent)(uint32_t slice, bool sent);
void (*on_kill)(struct process *process);
rte_mp_t rendezvous_action;
struct rte_mp_msg rendezvous_answer;
void (*primary)(struct rte_mp_msg *answer);

static uint64_t now_ns;
static pid_t next_pid;

/** By the descriptor of the library's end, which may be another's by now. */
static struct {
	unsigned int channel;
	const struct process *sender;
	bool tell_pidfd;
	unsigned int messages;	/**< in this turn */
} library_ends[MAX_DESCRIPTORS];
static unsigned int n_channels;

/* ---- Time ---- */

void
clock_advance(uint64_t ns)
{
	now_ns += ns;
}

int
watch_clock(struct timespec *now)
{
	now->tv_sec = (time_t)(now_ns / 1000000000);
	now->tv_nsec = (long)(now_ns % 1000000000);
	return 0;
}

uint64_t
watch_cycles(void)
{
	return now_ns;
}

uint64_t
rte_get_tsc_hz(void)
{
	return 1000000000;
}

/* ---- Alarms ---- */

static struct alarm {
	uint64_t due;
	rte_eal_alarm_callback fn;
	void *arg;
} alarms[MAX_ALARMS];
static unsigned int n_alarms;

int
rte_eal_alarm_set(uint64_t us, rte_eal_alarm_callback fn, void *arg)
{
	unsigned int at = n_alarms;

	if (us < 1)
		return -EINVAL;
	require(n_alarms < MAX_ALARMS, "alarms without end");
	for (; at > 0 && alarms[at - 1].due > now_ns + us * NS_PER_US; at--)
		alarms[at] = alarms[at - 1];
	alarms[at] = (struct alarm){ now_ns + us * NS_PER_US, fn, arg };
	n_alarms++;
	return 0;
}

int
rte_eal_alarm_cancel(rte_eal_alarm_callback fn, void *arg)
{
	unsigned int from, to = 0;

	for (from = 0; from < n_alarms; from++)
		if (alarms[from].fn != fn || (arg != (void *)-1 && alarms[from].arg != arg))
			alarms[to++] = alarms[from];
	from = n_alarms - to;
	n_alarms = to;
	return (int)from;
}

/** Those for "at once" are always due. */
static bool
alarm_is_due(void)
{
	return n_alarms > 0 && alarms[0].due <= now_ns + NS_PER_US;
}

static void
run_alarms(void)
{
	unsigned int most = n_alarms;
	struct alarm first;

	while (most-- > 0 && alarm_is_due()) {
		first = alarms[0];
		memmove(alarms, alarms + 1, --n_alarms * sizeof(alarms[0]));
		first.fn(first.arg);
	}
}

/* ---- Watched descriptors, as eal_interrupts.c of DPDK deals with them ---- */

static struct source {
	const struct rte_intr_handle *handle;
	rte_intr_callback_fn fn;
	void *arg;
	rte_intr_unregister_callback_fn ended;
} sources[MAX_WATCHES];
static unsigned int n_sources;
/** The handle whose callback runs now. */
static const struct rte_intr_handle *active;
/** To be removed when it has returned. */
static bool active_ends;

int
rte_intr_callback_register(const struct rte_intr_handle *handle, rte_intr_callback_fn fn,
			   void *arg)
{
	require(n_sources < MAX_WATCHES, "watches without end");
	require(fcntl(rte_intr_fd_get(handle), F_GETFD) >= 0, "an open descriptor is watched");
	sources[n_sources++] = (struct source){ .handle = handle, .fn = fn, .arg = arg };
	return 0;
}

static unsigned int
find_source(const struct rte_intr_handle *handle)
{
	unsigned int i;

	for (i = 0; i < n_sources && sources[i].handle != handle; i++)
		;
	require(i < n_sources, "what ends was watched");
	return i;
}

int
rte_intr_callback_unregister(const struct rte_intr_handle *handle, rte_intr_callback_fn fn,
			     void *arg)
{
	unsigned int i = find_source(handle);

	if (active == handle)
		return -EAGAIN;
	sources[i] = sources[--n_sources];
	return 1;
}

int
rte_intr_callback_unregister_pending(const struct rte_intr_handle *handle,
				     rte_intr_callback_fn fn, void *arg,
				     rte_intr_unregister_callback_fn ended)
{
	require(active == handle, "only what runs is still to be ended");
	require(!active_ends, "a watch ends once");
	sources[find_source(handle)].ended = ended;
	active_ends = true;
	return 1;
}

/** By the number: between poll and now it may have become another's. */
static void
run_source(int fd)
{
	struct source source;
	unsigned int i;

	for (i = 0; i < n_sources && rte_intr_fd_get(sources[i].handle) != fd; i++)
		;
	if (i == n_sources)
		return;
	source = sources[i];
	active = source.handle;
	active_ends = false;
	source.fn(source.arg);
	active = NULL;
	if (!active_ends)
		return;
	i = find_source(source.handle);
	source = sources[i];
	sources[i] = sources[--n_sources];
	source.ended(NULL, source.arg);
}

static unsigned int
find_ready(int ready[MAX_WATCHES])
{
	struct pollfd fds[MAX_WATCHES];
	unsigned int i, count = 0;

	for (i = 0; i < n_sources; i++)
		fds[i] = (struct pollfd){ rte_intr_fd_get(sources[i].handle), POLLIN, 0 };
	poll(fds, n_sources, 0);
	for (i = 0; i < n_sources; i++) {
		require((fds[i].revents & POLLNVAL) == 0, "what is watched is open");
		if (fds[i].revents != 0)
			ready[count++] = fds[i].fd;
	}
	return count;
}

unsigned int
interrupts_turn(void)
{
	int ready[MAX_WATCHES + 1], swap;
	unsigned int i, other, count;

	require(active == NULL, "one interrupt thread");
	for (i = 0; i < MAX_DESCRIPTORS; i++)
		library_ends[i].messages = 0;
	count = find_ready(ready);
	if (alarm_is_due())
		ready[count++] = -1;
	for (i = 0; i < count; i++) {
		other = i + take_below(&channel_input, count - i);
		swap = ready[i];
		ready[i] = ready[other];
		ready[other] = swap;
		if (ready[i] == -1)
			run_alarms();
		else
			run_source(ready[i]);
	}
	return count;
}

void
interrupts_idle(void)
{
	unsigned int turns = 0;

	while (interrupts_turn() > 0)
		require(++turns < MAX_TURNS, "there is always something to do");
}

int
rte_thread_is_intr(void)
{
	return active != NULL;
}

/* ---- Waiting ---- */

static void
wait_a_while(void)
{
	if (while_waiting != NULL)
		while_waiting();
	if (active == NULL)
		interrupts_turn();
}

void
rte_delay_us_sleep(unsigned int us)
{
	clock_advance((uint64_t)us * NS_PER_US);
	wait_a_while();
}

/** Only jobs of the interrupt thread are waited for. */
int
watch_sem_wait(sem_t *sem)
{
	require(active == NULL, "the interrupt thread waits for itself");
	while (sem_trywait(sem) != 0)
		require(interrupts_turn() > 0, "what is waited for will come");
	return 0;
}

int
watch_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	require(active == NULL, "the interrupt thread waits for itself");
	pthread_mutex_unlock(mutex);
	clock_advance(NS_PER_MS);
	wait_a_while();
	pthread_mutex_lock(mutex);
	return now_ns >= (uint64_t)until->tv_sec * 1000000000 + (uint64_t)until->tv_nsec ?
		ETIMEDOUT : 0;
}

int
watch_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int ret = poll(fds, count, 0);

	if (ret != 0 || timeout_ms == 0)
		return ret;
	wait_a_while();
	clock_advance((uint64_t)timeout_ms * NS_PER_MS);
	return poll(fds, count, 0);
}

/* ---- The rendezvous ---- */

int
rte_mp_action_register(const char *name, rte_mp_t action)
{
	require(rendezvous_action == NULL, "one rendezvous");
	rendezvous_action = action;
	return 0;
}

void
rte_mp_action_unregister(const char *name)
{
	rendezvous_action = NULL;
}

int
rte_mp_reply(struct rte_mp_msg *msg, const char *peer)
{
	rendezvous_answer = *msg;
	if (msg->num_fds > 0)
		rendezvous_answer.fds[0] = dup(msg->fds[0]);
	return 0;
}

int
rte_mp_request_sync(struct rte_mp_msg *req, struct rte_mp_reply *reply,
		    const struct timespec *ts)
{
	struct rte_mp_msg answer = { .name = "" };

	memset(reply, 0, sizeof(*reply));
	primary(&answer);
	if (answer.name[0] == '\0') {
		rte_errno = ETIMEDOUT;
		return -1;
	}
	reply->nb_sent = 1;
	reply->nb_received = 1;
	reply->msgs = malloc(sizeof(answer));
	require(reply->msgs != NULL, "memory");
	*reply->msgs = answer;
	return 0;
}

/* ---- Who sends ---- */

void
process_start(struct process *process, uid_t uid)
{
	*process = (struct process){ .pid = next_pid++, .uid = uid };
	if (process == &processes[N_PROCESSES - 1])
		process->pid = 0;
	process->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(process->end >= 0 && process->end < MAX_DESCRIPTORS, "a descriptor");
}

void
process_end(struct process *process)
{
	require(eventfd_write(process->end, 1) == 0, "an end");
	process->ended = true;
}

unsigned int
latest_channel(void)
{
	return n_channels;
}

void
sent_by(unsigned int channel, const struct process *process)
{
	unsigned int i;

	for (i = 0; i < MAX_DESCRIPTORS; i++)
		if (library_ends[i].channel == channel)
			library_ends[i].sender = process;
}

int
watch_socketpair(int domain, int type, int protocol, int ends[2])
{
	int least = 1; /* the kernel makes it some thousand bytes */

	if (socketpair(domain, type, protocol, ends) != 0)
		return -1;
	require(ends[0] < MAX_DESCRIPTORS && ends[1] < MAX_DESCRIPTORS, "few descriptors");
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	memset(&library_ends[ends[0]], 0, sizeof(library_ends[0]));
	library_ends[ends[0]].channel = ++n_channels;
	return 0;
}

/** How large a queue may become is up to the machine: it stays small. */
int
watch_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	if (name == SO_SNDBUF)
		return 0;
	if (name == SO_PASSPIDFD) {
		library_ends[fd].tell_pidfd = *(const int *)value != 0;
		return 0;
	}
	return setsockopt(fd, level, name, value, length);
}

/** By the descriptor of the pidfd. */
static const struct process *ends_of[MAX_DESCRIPTORS];

static int
pidfd_of(const struct process *process)
{
	int fd = process->ended ? -ESRCH : fcntl(process->end, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		ends_of[fd] = process;
	return fd;
}

static long
pidfd_open(pid_t pid)
{
	unsigned int i;

	require(pid > 0, "only a process is opened");
	for (i = 0; i < N_PROCESSES; i++)
		if (processes[i].pid == pid && !processes[i].ended)
			return pidfd_of(&processes[i]);
	errno = ESRCH;
	return -1;
}

static long
pidfd_kill(int pidfd)
{
	unsigned int i;

	for (i = 0; i < N_PROCESSES; i++)
		if (ends_of[pidfd] == &processes[i] && !processes[i].ended) {
			on_kill(&processes[i]);
			return 0;
		}
	errno = ESRCH;
	return -1;
}

long
watch_syscall(long number, long first, ...)
{
	require(number == SYS_pidfd_open || number == SYS_pidfd_send_signal, "a known call");
	return number == SYS_pidfd_open ? pidfd_open((pid_t)first) : pidfd_kill((int)first);
}

/** Behind the others, as the kernel does, where there is room. */
static void
append_pidfd(struct msghdr *msg, size_t room, const struct process *process)
{
	struct cmsghdr *cmsg;
	int pidfd;

	if (room < msg->msg_controllen + CMSG_LEN(sizeof(pidfd))) {
		msg->msg_flags |= MSG_CTRUNC;
		return;
	}
	pidfd = pidfd_of(process);
	cmsg = (void *)((uint8_t *)msg->msg_control + msg->msg_controllen);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_PIDFD;
	cmsg->cmsg_len = CMSG_LEN(sizeof(pidfd));
	memcpy(CMSG_DATA(cmsg), &pidfd, sizeof(pidfd));
	msg->msg_controllen += RTE_MIN(CMSG_SPACE(sizeof(pidfd)), room - msg->msg_controllen);
}

ssize_t
watch_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const struct process *sender = library_ends[fd].sender;
	size_t room = msg->msg_controllen;
	ssize_t ret = recvmsg(fd, msg, flags);
	struct cmsghdr *cmsg;
	struct ucred cred;

	if (ret < 0 || sender == NULL)
		return ret;
	require(++library_ends[fd].messages <= MAX_MESSAGES, "nobody is listened to without end");
	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_CREDENTIALS)
			continue;
		cred = (struct ucred){ .pid = sender->pid, .uid = sender->uid };
		memcpy(CMSG_DATA(cmsg), &cred, sizeof(cred));
	}
	if (library_ends[fd].tell_pidfd && sender->pid != 0)
		append_pidfd(msg, room, sender);
	return ret;
}

ssize_t
watch_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t ret = sendmsg(fd, msg, flags);
	struct lease_message message;

	require((flags & MSG_DONTWAIT) != 0, "nobody waits for the other end");
	if (on_grant_sent != NULL && msg->msg_iov->iov_len == sizeof(message)) {
		memcpy(&message, msg->msg_iov->iov_base, sizeof(message));
		if (message.type == LEASE_GRANT)
			on_grant_sent(message.slice, ret >= 0);
	}
	return ret;
}

/* ---- An input ---- */

unsigned int
count_descriptors(void)
{
	struct pollfd fds[MAX_DESCRIPTORS];
	unsigned int i, count = 0;

	for (i = 0; i < MAX_DESCRIPTORS; i++)
		fds[i] = (struct pollfd){ .fd = (int)i };
	poll(fds, MAX_DESCRIPTORS, 0);
	for (i = 0; i < MAX_DESCRIPTORS; i++)
		count += (fds[i].revents & POLLNVAL) == 0;
	return count;
}

void
eal_begin(void)
{
	unsigned int i;

	memset(library_ends, 0, sizeof(library_ends));
	n_channels = 0;
	now_ns = 1000000000;
	next_pid = 1000;
	while_waiting = NULL;
	on_grant_sent = NULL;
	on_kill = NULL;
	for (i = 0; i < N_PROCESSES; i++)
		process_start(&processes[i], 100 + i / 2);
}

void
eal_end(void)
{
	unsigned int i;

	for (i = 0; i < N_PROCESSES; i++)
		close(processes[i].end);
	require(n_sources == 0, "nothing is watched any more");
	require(n_alarms == 0, "no alarm is left");
}

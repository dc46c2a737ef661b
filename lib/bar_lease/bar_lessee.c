/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The interrupt thread receives; any thread may ask. What they share of a slice is its state.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_string_fns.h>

#include "bar_lease_private.h"

/* How long the primary may take to answer, in seconds; rte_mp counts in them. */
#define ANSWER_TIMEOUT 5

/* How often to look whether a thread is still busy with what was revoked. */
#define BUSY_POLL_US 1000

enum want_state {
	WANT_NOTHING,
	WANT_ASKED,		/* request sent, no answer yet */
	WANT_HELD,
	WANT_LOST,		/* a touch found it revoked; the lessor has not said so */
	WANT_YIELDED,		/* revoked; not given back, since a thread may still be busy */
	WANT_REFUSED,		/* not before retry_at */
};

struct want {
	int state;		/* enum want_state; atomic */
	/**
	 * A touch found it revoked, of which the interrupt thread has not told yet: by then, the
	 * thread that touched it may have asked for it anew. Atomic.
	 */
	bool loss_untold;
	uint64_t retry_at;	/* TSC cycles */
	int32_t lease;		/* number of the latest lease */
	bool release_due;	/* of that lease; while ASKED, the asking thread's */
	void *address;		/* of the latest mapping, or NULL */
	int last_error;		/* of the latest refusal, to log a lasting one once */
	struct bar_lessee *lessee;
};

/* The one call under way, of the thread that has the lock of calls. */
struct call {
	pthread_mutex_t calls;		/* one at a time */
	pthread_mutex_t lock;		/* over what follows */
	pthread_cond_t answered;
	int32_t serial;			/* of the latest call */
	bool waiting;			/* for its answer */
	int result;
};

struct bar_lessee {
	char name[BAR_LEASE_NAME_SIZE];
	int fd;				/* other threads send on it until the destroy */
	struct lease_watch *channel;	/* on a duplicate; NULL after the end of file */
	size_t length;
	void (*granted)(void *arg, unsigned int slice, void *address);
	void (*lost)(void *arg, unsigned int slice);
	bool (*busy)(void *arg, unsigned int slice);
	void (*hangup)(void *arg);
	void (*notice)(void *arg, uint32_t code, int32_t value);
	void *arg;
	struct call call;
	bool timer;			/* runs, because something is YIELDED */
	unsigned int nb_wants;
	struct want wants[];
};

static int
want_state(const struct want *want)
{
	return __atomic_load_n(&want->state, __ATOMIC_ACQUIRE);
}

static void
want_set(struct want *want, enum want_state state)
{
	__atomic_store_n(&want->state, state, __ATOMIC_RELEASE);
}

static void
want_hold_back(struct want *want)
{
	want->retry_at = rte_get_tsc_cycles() + rte_get_tsc_hz();
	want_set(want, WANT_REFUSED);
}

static unsigned int
want_index(const struct want *want)
{
	return (unsigned int)(want - want->lessee->wants);
}

static int
send_about(struct bar_lessee *lessee, uint16_t type, uint32_t slice, int32_t lease)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
		.value = lease,
	};

	return lease_send(lessee->fd, &message, -1);
}

void
bar_lessee_request(struct bar_lessee *lessee, unsigned int slice)
{
	struct want *want = &lessee->wants[slice];
	int state = want_state(want);

	if (state == WANT_ASKED || state == WANT_HELD || state == WANT_YIELDED)
		return;
	if (state == WANT_REFUSED && rte_get_tsc_cycles() < want->retry_at)
		return;
	if (!__atomic_compare_exchange_n(&want->state, &state, WANT_ASKED, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	/* As long as the lessor takes it for held, it refuses it. */
	if (state == WANT_LOST)
		want->release_due = true;
	if (want->release_due)
		want->release_due = send_about(lessee, LEASE_RELEASE, slice, want->lease) != 0;
	if (want->release_due || send_about(lessee, LEASE_REQUEST, slice, 0) != 0)
		want_hold_back(want);
}

/* Runs in the thread that touched the revoked page, as a signal handler. */
static void
mapping_lost(void *arg)
{
	struct want *want = arg;
	int expected = WANT_HELD;

	/* The device may have been off for a moment, with no lessor to say anything about it. */
	__atomic_store_n(&want->loss_untold, true, __ATOMIC_RELEASE);
	if (!__atomic_compare_exchange_n(&want->state, &expected, WANT_LOST, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		__atomic_store_n(&want->loss_untold, false, __ATOMIC_RELEASE); /* it knows */
	want->lessee->lost(want->lessee->arg, want_index(want));
}

/*
 * Take a lease away from the threads that touch it and ask for it; asked for is what nobody else
 * changes. Returns whether there was one.
 */
static bool
want_lose(struct want *want)
{
	int state = want_state(want);

	while (state == WANT_HELD || state == WANT_LOST)
		if (__atomic_compare_exchange_n(&want->state, &state, WANT_ASKED, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* On the interrupt thread: tell of a lease that was taken away, or that a touch found revoked. */
static void
want_tell_loss(struct want *want, bool taken)
{
	if (__atomic_exchange_n(&want->loss_untold, false, __ATOMIC_ACQ_REL) || taken)
		want->lessee->lost(want->lessee->arg, want_index(want));
}

/*
 * A mapping outlives its lease until the next one: the thread that polls the queue may be about
 * to write to it. When that thread asks anew, it has let go of the old address.
 */
static void
want_unmap(struct want *want)
{
	if (want->address != NULL)
		bar_slice_unmap(want->address, want->lessee->length);
	want->address = NULL;
}

static void
on_grant(struct bar_lessee *lessee, unsigned int slice, int32_t lease, int dmabuf)
{
	struct want *want = &lessee->wants[slice];
	int ret;

	if (want_state(want) != WANT_ASKED || dmabuf < 0)
		return;
	want_tell_loss(want, false);
	want_unmap(want);
	want->lease = lease;
	ret = bar_slice_map(dmabuf, lessee->length, mapping_lost, want, &want->address);
	if (ret != 0) {
		LEASE_LOG(ERR, "%s: slice %u: %s", lessee->name, slice, bar_slice_error());
		want->release_due = send_about(lessee, LEASE_RELEASE, slice, lease) != 0;
		want_hold_back(want);
		return;
	}
	want->last_error = 0;
	want_set(want, WANT_HELD);
	lessee->granted(lessee->arg, slice, want->address);
}

static void
on_refusal(struct bar_lessee *lessee, const struct lease_message *message)
{
	struct want *want = &lessee->wants[message->slice];

	if (want_state(want) != WANT_ASKED)
		return;
	want_tell_loss(want, false);
	if (want->last_error != message->value) {
		want->last_error = message->value;
		if (message->value == EBUSY && message->holder != 0)
			LEASE_LOG(WARNING, "%s: slice %u refused: process %d holds it",
				  lessee->name, message->slice, message->holder);
		else
			LEASE_LOG(WARNING, "%s: slice %u refused: %s", lessee->name,
				  message->slice, strerror(message->value));
	}
	want_hold_back(want);
}

/* Returns whether a thread may still be busy with it. */
static bool
want_give_back(struct want *want)
{
	struct bar_lessee *lessee = want->lessee;

	if (lessee->busy != NULL && lessee->busy(lessee->arg, want_index(want)))
		return true;
	want->release_due = send_about(lessee, LEASE_RELEASE, want_index(want), want->lease) != 0;
	want_hold_back(want);
	return false;
}

static void
give_back_yielded(void *arg)
{
	struct bar_lessee *lessee = arg;
	bool busy = false;
	unsigned int i;

	for (i = 0; i < lessee->nb_wants; i++)
		if (want_state(&lessee->wants[i]) == WANT_YIELDED)
			busy |= want_give_back(&lessee->wants[i]);
	lessee->timer = busy;
	if (!busy || rte_eal_alarm_set(BUSY_POLL_US, give_back_yielded, lessee) == 0)
		return;
	LEASE_LOG(ERR, "%s: no memory for a timer", lessee->name);
	lessee->timer = false;
	/* The thread that is busy gives it back itself, when it asks anew. */
	for (i = 0; i < lessee->nb_wants; i++)
		if (want_state(&lessee->wants[i]) == WANT_YIELDED)
			want_set(&lessee->wants[i], WANT_LOST);
}

static void
on_revoke(struct bar_lessee *lessee, unsigned int slice, int32_t lease)
{
	struct want *want = &lessee->wants[slice];
	bool taken;

	if (want_state(want) == WANT_YIELDED)
		return; /* the answer will come */
	taken = want_lose(want);
	want_tell_loss(want, taken);
	if (!taken) {
		send_about(lessee, LEASE_RELEASE, slice, lease);
		return;
	}
	LEASE_LOG(WARNING, "%s: slice %u was revoked", lessee->name, slice);
	want_set(want, WANT_YIELDED);
	if (!lessee->timer)
		give_back_yielded(lessee);
}

static void
on_available(struct bar_lessee *lessee, uint32_t slice)
{
	unsigned int first = slice == LEASE_ALL_SLICES ? 0 : slice;
	unsigned int last = slice == LEASE_ALL_SLICES ? lessee->nb_wants - 1 : slice;
	int expected;
	unsigned int i;

	for (i = first; i <= last; i++) {
		expected = WANT_REFUSED;
		__atomic_compare_exchange_n(&lessee->wants[i].state, &expected, WANT_NOTHING,
					    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
}

static void
call_init(struct call *call)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&call->calls, NULL);
	pthread_mutex_init(&call->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&call->answered, &attr);
	pthread_condattr_destroy(&attr);
}

static void
call_fini(struct call *call)
{
	pthread_cond_destroy(&call->answered);
	pthread_mutex_destroy(&call->lock);
	pthread_mutex_destroy(&call->calls);
}

/* Another number is that of a call whose caller has given up. */
static void
call_end(struct call *call, int32_t serial, int result)
{
	pthread_mutex_lock(&call->lock);
	if (call->waiting && serial == call->serial) {
		call->waiting = false;
		call->result = result;
		pthread_cond_signal(&call->answered);
	}
	pthread_mutex_unlock(&call->lock);
}

/* Returns whether the answer came in time. */
static bool
call_wait(struct call *call, unsigned int timeout_ms)
{
	uint64_t deadline = lease_clock() + (uint64_t)timeout_ms * 1000000;
	struct timespec until = {
		.tv_sec = (time_t)(deadline / 1000000000),
		.tv_nsec = (long)(deadline % 1000000000),
	};
	int ret = 0;

	while (call->waiting && ret == 0)
		ret = pthread_cond_timedwait(&call->answered, &call->lock, &until);
	return !call->waiting;
}

static int
call_send(struct bar_lessee *lessee, uint32_t code, int32_t value, unsigned int timeout_ms)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_CALL,
		.slice = code,
		.value = value,
	};
	struct call *call = &lessee->call;
	int ret;

	pthread_mutex_lock(&call->lock);
	message.holder = __atomic_add_fetch(&call->serial, 1, __ATOMIC_RELAXED);
	call->waiting = true;
	ret = lease_send(lessee->fd, &message, -1);
	if (ret == 0)
		ret = call_wait(call, timeout_ms) ? call->result : -ETIMEDOUT;
	else if (ret != -EAGAIN)
		ret = -ENOTCONN;
	call->waiting = false;
	pthread_mutex_unlock(&call->lock);
	return ret;
}

int
bar_lessee_call(struct bar_lessee *lessee, uint32_t code, int32_t value, unsigned int timeout_ms)
{
	int ret;

	if (rte_thread_is_intr())
		return -EDEADLK;
	pthread_mutex_lock(&lessee->call.calls);
	ret = call_send(lessee, code, value, timeout_ms);
	pthread_mutex_unlock(&lessee->call.calls);
	return ret;
}

/* Not about a slice. Returns whether it was such a message. */
static bool
on_word(struct bar_lessee *lessee, const struct lease_message *message)
{
	if (message->type == LEASE_ANSWER)
		call_end(&lessee->call, message->holder, RTE_MIN(message->value, 0));
	else if (message->type == LEASE_NOTICE && lessee->notice != NULL)
		lessee->notice(lessee->arg, message->slice, message->value);
	return message->type == LEASE_ANSWER || message->type == LEASE_NOTICE;
}

static void
on_message(struct bar_lessee *lessee, const struct lease_message *message,
	   struct lease_ancillary *ancillary)
{
	bool all = message->type == LEASE_AVAILABLE && message->slice == LEASE_ALL_SLICES;

	if (on_word(lessee, message))
		return;
	if (!all && message->slice >= lessee->nb_wants)
		return; /* a slice that this process never asked for */
	switch (message->type) {
	case LEASE_GRANT:
		on_grant(lessee, message->slice, message->value, ancillary->fd);
		break;
	case LEASE_REFUSE:
		on_refusal(lessee, message);
		break;
	case LEASE_REVOKED:
		on_revoke(lessee, message->slice, message->value);
		break;
	case LEASE_AVAILABLE:
		on_available(lessee, message->slice);
		break;
	default:
		break;
	}
}

static void
on_hangup(struct bar_lessee *lessee)
{
	unsigned int i;

	LEASE_LOG(ERR, "%s: the lessor has gone: every lease is lost", lessee->name);
	shutdown(lessee->fd, SHUT_RDWR);
	lease_watch_remove(lessee->channel);
	lessee->channel = NULL;
	for (i = 0; i < lessee->nb_wants; i++) {
		/* Asked for ever: there is nobody to send anything to. */
		want_tell_loss(&lessee->wants[i], want_lose(&lessee->wants[i]));
		want_set(&lessee->wants[i], WANT_ASKED);
	}
	/* Whoever calls from here on cannot send. */
	rte_eal_alarm_cancel(give_back_yielded, lessee);
	call_end(&lessee->call, __atomic_load_n(&lessee->call.serial, __ATOMIC_RELAXED),
		 -ENOTCONN);
	if (lessee->hangup != NULL)
		lessee->hangup(lessee->arg);
}

static void
channel_readable(void *arg)
{
	struct bar_lessee *lessee = arg;
	struct lease_ancillary ancillary;
	struct lease_message message;
	int ret;

	while ((ret = lease_receive(lessee->fd, &message, &ancillary)) == 0) {
		on_message(lessee, &message, &ancillary);
		lease_ancillary_close(&ancillary);
	}
	if (ret != -EAGAIN)
		on_hangup(lessee);
}

/* Returns the descriptor, or a negative errno with nothing left open. */
static int
take_channel(const struct rte_mp_msg *answer)
{
	struct lease_rendezvous_reply reply = { .error = -EPROTO };
	int i;

	if (answer->len_param == sizeof(reply))
		memcpy(&reply, answer->param, sizeof(reply));
	if (reply.error == 0 && answer->num_fds == 1)
		return answer->fds[0];
	for (i = 0; i < answer->num_fds; i++)
		close(answer->fds[i]);
	return reply.error < 0 ? reply.error : -EPROTO;
}

/* Ask the primary for a channel; returns this process' end of it. */
static int
rendezvous(const char *name)
{
	struct timespec timeout = { .tv_sec = ANSWER_TIMEOUT };
	struct rte_mp_msg msg = { .len_param = sizeof(struct lease_rendezvous_request) };
	struct lease_rendezvous_request *request = (void *)msg.param;
	struct rte_mp_reply replies = { 0 };
	int ret = -ETIMEDOUT;

	strlcpy(msg.name, LEASE_ACTION, sizeof(msg.name));
	request->version = LEASE_PROTOCOL_VERSION;
	strlcpy(request->name, name, sizeof(request->name));
	if (rte_mp_request_sync(&msg, &replies, &timeout) != 0)
		return -rte_errno;
	if (replies.nb_received == 1)
		ret = take_channel(&replies.msgs[0]);
	free(replies.msgs);
	if (ret >= 0)
		fcntl(ret, F_SETFD, FD_CLOEXEC); /* rte_mp receives without it */
	return ret;
}

static int
connect_to(const char *path)
{
	const struct timeval patience = { .tv_sec = ANSWER_TIMEOUT };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	lease_widen(fd);
	/* Others may be waiting to be accepted as well. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno == EAGAIN ? ETIMEDOUT : errno;
	close(fd);
	return -error;
}

static int
open_channel(const struct bar_lessee_conf *conf)
{
	if (conf->channel_fd > 0)
		return conf->channel_fd;
	return conf->socket_path != NULL ? connect_to(conf->socket_path) : rendezvous(conf->name);
}

static int
greet(struct bar_lessee *lessee)
{
	struct pollfd readable = { .fd = lessee->fd, .events = POLLIN };
	struct lease_ancillary ancillary;
	struct lease_message message;
	int ret;

	ret = send_about(lessee, LEASE_HELLO, 0, 0);
	if (ret != 0 && ret != -EPIPE) /* -EPIPE: why is perhaps still to be read */
		return ret;
	do {
		ret = poll(&readable, 1, ANSWER_TIMEOUT * 1000);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return -ETIMEDOUT;
	ret = lease_receive(lessee->fd, &message, &ancillary);
	if (ret != 0)
		return ret == -EPIPE ? -EACCES : ret;
	lease_ancillary_close(&ancillary);
	if (message.type == LEASE_REFUSE && message.value > 0)
		return -message.value;
	if (message.type != LEASE_WELCOME)
		return -EPROTO;
	if (message.value < (int32_t)lessee->nb_wants)
		return -ERANGE;
	return 0;
}

int
bar_lessee_create(const struct bar_lessee_conf *conf, struct bar_lessee **lessee)
{
	struct bar_lessee *new;
	unsigned int i;
	int ret, watched;

	if (conf->nb_slices == 0 || conf->nb_slices > BAR_LEASE_MAX_SLICES)
		return -EINVAL;
	new = calloc(1, sizeof(*new) + conf->nb_slices * sizeof(new->wants[0]));
	if (new == NULL)
		return -ENOMEM;
	strlcpy(new->name, conf->name, sizeof(new->name));
	new->length = conf->length;
	new->granted = conf->granted;
	new->lost = conf->lost;
	new->busy = conf->busy;
	new->hangup = conf->hangup;
	new->notice = conf->notice;
	new->arg = conf->arg;
	new->nb_wants = conf->nb_slices;
	for (i = 0; i < new->nb_wants; i++)
		new->wants[i].lessee = new;
	call_init(&new->call);

	ret = open_channel(conf);
	if (ret < 0)
		goto no_channel;
	new->fd = ret;
	ret = greet(new);
	if (ret != 0)
		goto not_welcome;
	watched = fcntl(new->fd, F_DUPFD_CLOEXEC, 0);
	if (watched < 0) {
		ret = -errno;
		goto not_welcome;
	}
	new->channel = lease_watch_add(watched, channel_readable, new);
	if (new->channel == NULL) {
		close(watched);
		ret = -ENOMEM;
		goto not_welcome;
	}
	*lessee = new;
	return 0;

not_welcome:
	close(new->fd);
no_channel:
	call_fini(&new->call);
	free(new);
	return ret;
}

static void
lessee_teardown(void *arg)
{
	struct bar_lessee *lessee = arg;
	unsigned int i;

	rte_eal_alarm_cancel(give_back_yielded, lessee);
	for (i = 0; i < lessee->nb_wants; i++)
		want_unmap(&lessee->wants[i]);
	if (lessee->channel != NULL)
		send_about(lessee, LEASE_RELEASE, LEASE_ALL_SLICES, 0);
	lease_watch_remove(lessee->channel);
	close(lessee->fd);
	call_fini(&lessee->call);
	free(lessee);
}

void
bar_lessee_destroy(struct bar_lessee *lessee)
{
	if (lessee != NULL)
		lease_run(lessee_teardown, lessee);
}

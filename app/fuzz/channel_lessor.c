/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A lessor among processes that say anything, at any time, and end at any time. Whatever they do:
 * a slice has one holder, who can ring as long as its lease stands and no longer; what somebody
 * has used is reset before anybody else gets it; every descriptor has its place; and an honest
 * process is served.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bar_lessor_private.h"
#include "channel.h"

#define N_SLICES 4
#define N_ENDS 8
#define NAME "0000:01:00.0"
#define PATIENCE_TURNS 1000

/** Of what a slice drives. */
static struct {
	int dmabuf;	/**< not revoked, or -1 */
	bool dirty;	/**< a process may have used it since the latest reset */
	bool taken;	/**< by the lessor's own process */
	bool pending;	/**< its reset is under way */
} slices[N_SLICES];

/** The processes' ends of channels. */
static struct {
	int fd;			/**< or -1 */
	unsigned int channel;
	struct process *process;
	bool greeted;
	bool outraged;		/**< said what nobody may say */
} ends[N_ENDS];

static struct bar_lessor *lessor;
static bool fenced;	/**< processes may be killed */
static int export_error, revoke_error, reset_error;
static unsigned int n_own;	/**< descriptors that are not the lessor's */

/* ---- In place of lib/bar_slice ---- */

const char *
bar_slice_error(void)
{
	return "the fuzzer has said so";
}

int
bar_slice_export(int device_fd, const struct bar_slice_support *support, unsigned int bar,
		 uint64_t offset, uint64_t length, const char *name,
		 enum bar_slice_memattr memattr)
{
	unsigned int slice = (unsigned int)offset;

	require(slice < N_SLICES, "a slice that there is");
	require(slices[slice].dmabuf == -1, "a slice has one holder");
	require(!slices[slice].dirty, "a slice is reset before it is leased again");
	require(!slices[slice].taken, "what the lessor itself uses is not leased");
	require(lessor_is_started(lessor), "nothing is leased before the start");
	if (export_error != 0)
		return export_error;
	slices[slice].dmabuf = eventfd(0, EFD_CLOEXEC);
	require(slices[slice].dmabuf >= 0, "a descriptor");
	return slices[slice].dmabuf;
}

int
bar_slice_revoke(int device_fd, const struct bar_slice_support *support, int dmabuf_fd)
{
	unsigned int i;

	if (revoke_error != 0)
		return revoke_error;
	for (i = 0; i < N_SLICES && slices[i].dmabuf != dmabuf_fd; i++)
		;
	require(i < N_SLICES && dmabuf_fd >= 0, "what is revoked was exported, and not revoked");
	slices[i].dmabuf = -1;
	return 0;
}

/* ---- The lessor's user ---- */

static void
grant_sent(uint32_t slice, bool sent)
{
	slices[slice].dirty |= sent;
}

static bool
is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) != 0;
}

static int
reset(void *arg, unsigned int slice)
{
	require(slice < N_SLICES, "a slice that there is");
	require(slices[slice].dmabuf == -1, "nobody can ring when the reset begins");
	require(lessor->slots[slice].holder == NULL, "nobody holds what is reset");
	slices[slice].pending = reset_error == -EINPROGRESS;
	if (reset_error != 0)
		return reset_error;
	slices[slice].dirty = false;
	return 0;
}

static int
call(void *arg, uint32_t code, int32_t value)
{
	return code % 2 == 0 ? 0 : -EPERM;
}

/** Nobody else gets the first slice while the process lives that had to let go of it. */
static pid_t
admit(void *arg, unsigned int slice, pid_t pid)
{
	struct bar_lease_info info;

	require(bar_lessor_query(lessor, slice, &info) == 0, "a slice that there is");
	return slice == 0 && info.former != pid ? info.former : 0;
}

static void
ended(void *arg, unsigned int slice, pid_t pid)
{
	const struct slot *slot = &lessor->slots[slice];

	require(slot->holder == NULL && slot->former != NULL && slot->former->pid == pid,
		"it has nothing left");
	require(is_readable(slot->former->pidfd), "it has ended");
}

/** The user has just reset what nobody can be working with. */
static void
start(void)
{
	unsigned int i;
	int state;

	for (i = 0; i < N_SLICES; i++) {
		state = slot_state(&lessor->slots[i]);
		if (state == BAR_LEASE_FREE || state == BAR_LEASE_QUARANTINED)
			slices[i].dirty = false;
	}
	bar_lessor_start(lessor);
}

static void
create(void)
{
	struct bar_lessor_slice table[N_SLICES] = { 0 };
	struct bar_lessor_conf conf = {
		.name = NAME,
		.device_fd = -1,
		.support = { .interface = BAR_SLICE_REVOKE_IOCTL, .memattr = 1 },
		.slices = table,
		.nb_slices = N_SLICES,
		.reset = reset,
		.call = call,
		.admit = admit,
		.ended = ended,
		.fence_ms = fenced ? 100 : 0,
	};
	unsigned int i;

	for (i = 0; i < N_SLICES; i++) {
		table[i].offset = i;
		slices[i].dmabuf = -1;
		slices[i].dirty = true;
		slices[i].taken = false;
		slices[i].pending = false;
	}
	require(bar_lessor_create(&conf, &lessor) == 0, "a lessor");
}

/* ---- What must hold ---- */

static bool
hears_end(int fd)
{
	struct pollfd pollfd = { .fd = fd };

	return poll(&pollfd, 1, 0) != 0 && (pollfd.revents & POLLHUP) != 0;
}

static void
check_known(const struct peer *peer)
{
	const struct peer *known;

	TAILQ_FOREACH(known, &lessor->peers, next)
		if (known == peer)
			break;
	require(known != NULL, "a holder is a peer");
	require(peer->process != NULL, "a holder has said who it is");
}

static unsigned int
check_slot(const struct slot *slot, unsigned int slice)
{
	const struct peer *peer = slot->holder;
	int state = slot_state(slot);

	if (slot->former != NULL) {
		check_known(slot->former);
		require(peer == NULL, "who has let go is forgotten with the next lease");
	}
	if (peer != NULL) {
		check_known(peer);
		require(peer->channel != NULL || state != BAR_LEASE_LEASED,
			"who has hung up can use nothing");
	}
	require((peer != NULL) == (state == BAR_LEASE_LEASED || state == BAR_LEASE_REVOKED),
		"what is leased has a holder, and nothing else");
	require(slot->dmabuf == slices[slice].dmabuf, "what can be used is known to be");
	require(slot->dmabuf >= 0 || state != BAR_LEASE_LEASED, "a lease can be used");
	require(slot->dmabuf == -1 || state == BAR_LEASE_LEASED || state == BAR_LEASE_REVOKED ||
		state == BAR_LEASE_QUARANTINED, "what can be used is nobody else's");
	require((state == BAR_LEASE_TAKEN) == slices[slice].taken,
		"what the lessor has taken it keeps");
	require(state != BAR_LEASE_LEASED || lessor_is_started(lessor), "a stop ends all leases");
	return slot->dmabuf >= 0;
}

static unsigned int
check_peer(const struct peer *peer)
{
	require((peer->process != NULL) == (peer->pid != 0),
		"who has said who it is can be seen to end, and nobody else");
	return (peer->channel != NULL) + (peer->process != NULL);
}

static void
check(void)
{
	unsigned int i, n_fds = 0, n_peers = 0;
	const struct peer *peer;

	for (i = 0; i < N_SLICES; i++)
		n_fds += check_slot(&lessor->slots[i], i);
	TAILQ_FOREACH(peer, &lessor->peers, next) {
		n_fds += check_peer(peer);
		n_peers++;
	}
	TAILQ_FOREACH(peer, &lessor->joining, next) {
		n_fds++;
		n_peers++;
	}
	require(bar_lessor_count_lessees(lessor) == n_peers, "all peers are counted, once");
	for (i = 0; i < N_ENDS; i++)
		n_fds += ends[i].fd >= 0;
	require(count_descriptors() == n_own + n_fds, "no descriptor is left open");
}

/** When all that has happened is dealt with. */
static void
check_idle(void)
{
	const struct peer *peer;
	unsigned int i, held;

	interrupts_idle();
	TAILQ_FOREACH(peer, &lessor->peers, next) {
		for (i = 0, held = 0; i < N_SLICES; i++)
			held += lessor->slots[i].holder == peer ||
				lessor->slots[i].former == peer;
		require(peer->channel != NULL || held > 0, "who hung up and holds nothing is gone");
		require(peer->process == NULL || !is_readable(peer->pidfd),
			"who has ended is gone");
	}
	require(TAILQ_EMPTY(&lessor->joining), "who wants to join is in");
	for (i = 0; i < N_ENDS; i++)
		require(!ends[i].outraged || hears_end(ends[i].fd),
			"who says nonsense is hung up on");
	check();
}

/* ---- What processes do ---- */

static unsigned int
take_end(void)
{
	return take_below(&channel_input, N_ENDS);
}

static void
forget_end(unsigned int i)
{
	if (ends[i].fd >= 0)
		close(ends[i].fd);
	ends[i].fd = -1;
	ends[i].process = NULL;
	ends[i].outraged = false;
}

static int
meet(const void *request, size_t length)
{
	struct lease_rendezvous_reply reply;
	struct rte_mp_msg msg = { .len_param = (int)length };

	memcpy(msg.param, request, length);
	rendezvous_answer = (struct rte_mp_msg){ .num_fds = 0 };
	require(rendezvous_action != NULL && rendezvous_action(&msg, "process") == 0,
		"a rendezvous");
	memcpy(&reply, rendezvous_answer.param, sizeof(reply));
	require((rendezvous_answer.num_fds == 1) == (reply.error == 0),
		"a channel or an error");
	return reply.error == 0 ? rendezvous_answer.fds[0] : reply.error;
}

static int
meet_honestly(void)
{
	struct lease_rendezvous_request request = { .version = LEASE_PROTOCOL_VERSION };

	memcpy(request.name, NAME, sizeof(NAME));
	return meet(&request, sizeof(request));
}

static void
process_joins(void)
{
	unsigned int i = take_end();
	struct process *process = &processes[take_below(&channel_input, N_PROCESSES)];

	if (process->ended || ends[i].fd >= 0)
		return;
	ends[i].fd = meet_honestly();
	require(ends[i].fd >= 0, "room for few processes");
	ends[i].channel = latest_channel();
	ends[i].process = process;
	ends[i].greeted = false;
	sent_by(ends[i].channel, process);
}

static void
process_garbles_rendezvous(void)
{
	uint8_t request[RTE_MP_MAX_PARAM_LEN];
	size_t i, length = take(&channel_input, 2) % sizeof(request);
	int fd;

	for (i = 0; i < length; i++)
		request[i] = (uint8_t)(i < 16 ? take(&channel_input, 1) : 'x');
	fd = meet(request, length);
	if (fd >= 0)
		close(fd);
}

/** Whether it is something that a process may say at this moment. */
static bool
is_allowed(const struct lease_message *message, bool greeted, bool known)
{
	if (message->version != LEASE_PROTOCOL_VERSION)
		return false;
	switch (message->type) {
	case LEASE_HELLO:
		return !greeted && known;
	case LEASE_REQUEST:
	case LEASE_RELEASE:
		return greeted && (message->slice < N_SLICES ||
				   (message->type == LEASE_RELEASE &&
				    message->slice == LEASE_ALL_SLICES));
	case LEASE_CALL:
		return greeted;
	default:
		return false;
	}
}

static void
say(unsigned int i, const void *data, size_t length, unsigned int n_fds)
{
	struct lease_message message;
	bool allowed = length == sizeof(message) && n_fds == 0;

	if (!send_bytes(ends[i].fd, data, length, n_fds))
		return;
	memcpy(&message, data, RTE_MIN(length, sizeof(message)));
	allowed = allowed && is_allowed(&message, ends[i].greeted, ends[i].process->pid != 0);
	ends[i].outraged |= !allowed;
	ends[i].greeted |= allowed;
}

static void
process_says_message(void)
{
	unsigned int i = take_end(), n_fds = take_rights();
	struct lease_message message = take_message(N_SLICES, 0);

	if (message.slice < N_SLICES && message.value == 0)
		message.value = lease_number(&lessor->slots[message.slice]);
	say(i, &message, sizeof(message), n_fds);
}

static void
process_says(unsigned int i, enum lease_message_type type, uint32_t slice)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
	};

	say(i, &message, sizeof(message), 0);
}

/** The first thing that anybody says. */
static void
process_says_hello(void)
{
	process_says(take_end(), LEASE_HELLO, 0);
}

static void
process_asks(void)
{
	unsigned int i = take_end();

	process_says(i, LEASE_REQUEST, take_below(&channel_input, N_SLICES));
}

static void
process_says_bytes(void)
{
	uint8_t bytes[2 * sizeof(struct lease_message)];
	unsigned int i = take_end(), n_fds = take_rights();
	size_t at, length = take_below(&channel_input, sizeof(bytes) + 1);

	for (at = 0; at < length; at++)
		bytes[at] = (uint8_t)take(&channel_input, 1);
	say(i, bytes, length, n_fds);
}

static void
process_floods(void)
{
	struct lease_message message = take_message(N_SLICES, 0);
	unsigned int count = take_below(&channel_input, 256), i = take_end();

	while (count-- > 0)
		say(i, &message, sizeof(message), 0);
}

static void
process_listens(void)
{
	unsigned int i = take_end();

	if (ends[i].fd >= 0)
		drain(ends[i].fd);
}

static void
process_hangs_up(void)
{
	forget_end(take_end());
}

/** Its ends are closed unless another process has them, too. */
static void
end_process(struct process *process, bool shared)
{
	unsigned int i;

	process_end(process);
	for (i = 0; i < N_ENDS; i++)
		if (!shared && ends[i].process == process)
			forget_end(i);
}

static void
process_ends(void)
{
	struct process *process = &processes[take_below(&channel_input, N_PROCESSES)];
	bool shared = take_below(&channel_input, 4) == 3;

	if (!process->ended)
		end_process(process, shared);
}

static void
process_is_killed(struct process *process)
{
	require(fenced, "nobody is killed unasked");
	end_process(process, false);
}

static void
process_succeeds(void)
{
	struct process *process = &processes[take_below(&channel_input, N_PROCESSES)];

	if (!process->ended)
		return;
	interrupts_idle();
	close(process->end);
	process_start(process, process->uid);
}

/** From here on another process speaks at this end. */
static void
end_is_handed_on(void)
{
	unsigned int i = take_end();
	struct process *process = &processes[take_below(&channel_input, N_PROCESSES)];

	if (ends[i].fd < 0 || process->ended)
		return;
	/* What was said before was said by another. */
	interrupts_idle();
	ends[i].process = process;
	sent_by(ends[i].channel, process);
}

/* ---- What the lessor's user does ---- */

static void
lessor_starts(void)
{
	start();
}

static void
lessor_stops(void)
{
	bar_lessor_stop(lessor, take_below(&channel_input, 8));
}

static void
lessor_takes(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);

	if (bar_lessor_take(lessor, slice) != 0)
		return;
	require(!slices[slice].dirty && slices[slice].dmabuf == -1,
		"what the lessor takes is reset");
	slices[slice].taken = true;
}

static void
lessor_puts(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);

	if (slices[slice].taken)
		bar_lessor_put(lessor, slice);
	slices[slice].taken = false;
}

static void
operator_revokes(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES + 1);

	/* What follows from it is for those to see who come back before the call does. */
	require((bar_lessor_revoke(lessor, slice) == -EINVAL) == (slice == N_SLICES),
		"a slice can be revoked");
}

static void
operator_drains(void)
{
	struct process *process = &processes[take_below(&channel_input, N_PROCESSES)];
	unsigned int flags = take_below(&channel_input, 2) != 0 ? BAR_LEASE_FENCE : 0;

	fenced |= flags != 0;
	bar_lessor_drain(lessor, process->pid, flags, take_below(&channel_input, 256));
}

static void
operator_sets_policy(void)
{
	struct bar_lease_rule rule = {
		.uid = 100 + take_below(&channel_input, 2),
		.gid = BAR_LEASE_ANY,
		.first = take_below(&channel_input, N_SLICES),
		.last = BAR_LEASE_ANY,
		.max_slices = take_below(&channel_input, N_SLICES),
		.max_peers = take_below(&channel_input, 4),
		.deny = take_below(&channel_input, 2) != 0,
	};
	const struct bar_lease_rule all = {
		.uid = BAR_LEASE_ANY, .gid = BAR_LEASE_ANY, .last = BAR_LEASE_ANY,
		.max_slices = BAR_LEASE_ANY, .max_peers = BAR_LEASE_ANY,
	};
	const struct bar_lease_rule rules[] = { rule, all };
	bool none = take_below(&channel_input, 3) == 0;

	require(bar_lessor_set_policy(lessor, none ? NULL : rules, none ? 0 : 2) == 0,
		"few rules");
}

static void
lessor_notifies(void)
{
	bar_lessor_notify(lessor, (uint32_t)take(&channel_input, 1), 1);
}

static void
lessor_looks(void)
{
	struct bar_lease_info info;
	unsigned int slice = take_below(&channel_input, N_SLICES + 1);

	require((bar_lessor_query(lessor, slice, &info) == 0) == (slice < N_SLICES),
		"a slice can be asked about");
}

static void
reset_is_done(void *arg)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);

	if (!slices[slice].pending)
		return;
	slices[slice].pending = false;
	if (lessor_is_started(lessor))
		slices[slice].dirty = false;
	bar_lessor_reset_done(lessor, slice);
}

static void
lessor_has_reset(void)
{
	lease_run(reset_is_done, NULL);
}

static void
lessor_begins_anew(void)
{
	bar_lessor_destroy(lessor);
	create();
}

static void
kernel_fails(void)
{
	static const int errors[] = { 0, 0, 0, -EIO, -EINPROGRESS };
	int error = errors[take_below(&channel_input, sizeof(errors) / sizeof(errors[0]))];

	switch (take_below(&channel_input, 3)) {
	case 0:
		export_error = error;
		break;
	case 1:
		revoke_error = error;
		break;
	default:
		reset_error = error;
	}
}

static void
interrupts_run(void)
{
	interrupts_turn();
}

static void
time_passes(void)
{
	clock_advance(take(&channel_input, 2) * 1000000);
}

/** Does as it should, and must be served. */
static void
bystander_is_served(void)
{
	struct lease_message message = { .version = LEASE_PROTOCOL_VERSION, .type = LEASE_HELLO };
	static struct process bystander;
	int fd = meet_honestly();

	require(fd >= 0, "room for few processes");
	process_start(&bystander, 7);
	sent_by(latest_channel(), &bystander);
	send_bytes(fd, &message, sizeof(message), 0);
	message.type = LEASE_REQUEST;
	send_bytes(fd, &message, sizeof(message), 0);
	interrupts_idle();
	require(drain(fd) >= 2, "a welcome and an answer");
	process_end(&bystander);
	close(fd);
	interrupts_idle();
	close(bystander.end);
}

typedef void (*step_fn)(void);

static const step_fn process_steps[] = {
	process_joins, process_says_hello, process_asks, process_says_message, process_says_bytes,
	process_floods, process_listens, process_hangs_up, process_ends, process_succeeds,
	end_is_handed_on, process_garbles_rendezvous, interrupts_run,
};

static const step_fn lessor_steps[] = {
	check_idle, lessor_starts, lessor_stops, lessor_takes, lessor_puts, lessor_notifies,
	lessor_looks, operator_revokes, operator_drains, operator_sets_policy, lessor_has_reset,
	lessor_begins_anew, kernel_fails, time_passes, bystander_is_served,
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/** While the lessor waits, the processes do what they like. */
static void
processes_go_on(void)
{
	if (input_left(&channel_input) > 0)
		process_steps[take_below(&channel_input, N(process_steps) - 1)]();
}

void
fuzz_lessor(void)
{
	unsigned int i, step;

	export_error = revoke_error = reset_error = 0;
	fenced = false;
	n_own = count_descriptors();
	for (i = 0; i < N_ENDS; i++)
		ends[i].fd = -1;
	create();
	while_waiting = processes_go_on;
	on_grant_sent = grant_sent;
	on_kill = process_is_killed;
	while (input_left(&channel_input) > 0) {
		step = take_below(&channel_input, N(process_steps) + N(lessor_steps));
		if (step < N(process_steps))
			process_steps[step]();
		else
			lessor_steps[step - N(process_steps)]();
		check();
	}
	revoke_error = 0;
	check_idle();
	bar_lessor_destroy(lessor);
	for (i = 0; i < N_SLICES; i++)
		require(slices[i].dmabuf == -1, "the end of a lessor is the end of its leases");
	for (i = 0; i < N_ENDS; i++)
		forget_end(i);
}

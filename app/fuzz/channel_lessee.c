/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * A lessee whose lessor says anything. Whatever it says: only what was asked for is granted, a
 * mapping is there for as long as its user has its address, every descriptor is closed, and every
 * call ends.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

#define N_SLICES 4
#define N_MAPPINGS (N_SLICES + 1)
#define PAGE 4096
#define MAX_ANSWERS 4

static struct bar_lessee *lessee;
static int channel;		/**< the lessor's end, or -1 */
static int map_error;

/** As the user has it. */
static struct {
	bool asked;		/**< since it was granted last */
	void *address;		/**< or NULL */
	bool busy;
} slices[N_SLICES];
static unsigned int hangups;

/* ---- In place of lib/bar_slice ---- */

static struct mapping {
	uint8_t page[PAGE];
	bool mapped;
	bool told;		/**< that it is lost */
	bar_slice_lost_fn lost;
	void *arg;
} mappings[N_MAPPINGS];

int
bar_slice_map(int dmabuf_fd, size_t length, bar_slice_lost_fn lost, void *arg, void **address)
{
	struct mapping *mapping = mappings;

	require(dmabuf_fd >= 0, "a descriptor is mapped");
	if (map_error != 0)
		return map_error;
	while (mapping->mapped)
		require(++mapping < mappings + N_MAPPINGS, "a slice is mapped once");
	mapping->mapped = true;
	mapping->told = false;
	mapping->lost = lost;
	mapping->arg = arg;
	*address = mapping->page;
	return 0;
}

static struct mapping *
mapping_at(const void *address)
{
	struct mapping *mapping = mappings;

	while (mapping->page != address || !mapping->mapped)
		require(++mapping < mappings + N_MAPPINGS, "what there is mapped");
	return mapping;
}

int
bar_slice_unmap(void *address, size_t length)
{
	mapping_at(address)->mapped = false;
	return 0;
}

/* ---- The lessee's user ---- */

static void
granted(void *arg, unsigned int slice, void *address)
{
	require(slice < N_SLICES, "a slice that there is");
	require(slices[slice].asked, "only what was asked for is granted");
	require(slices[slice].address == NULL, "what the user has is not granted again");
	mapping_at(address);
	slices[slice].asked = false;
	slices[slice].address = address;
}

static void
lost(void *arg, unsigned int slice)
{
	require(slice < N_SLICES, "a slice that there is");
	slices[slice].address = NULL;
}

static bool
busy(void *arg, unsigned int slice)
{
	require(slices[slice].address == NULL, "the user was told before it is asked");
	return slices[slice].busy;
}

static void
hangup(void *arg)
{
	unsigned int i;

	hangups++;
	for (i = 0; i < N_SLICES; i++)
		require(slices[i].address == NULL, "every lease is lost before the hangup");
}

static void
user_asks(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);

	slices[slice].asked |= slices[slice].address == NULL;
	bar_lessee_request(lessee, slice);
}

/** The doorbell's page is gone; said by a signal, in whatever thread touches it. */
static void
user_touches(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);
	struct mapping *mapping;

	if (slices[slice].address == NULL)
		return;
	mapping = mapping_at(slices[slice].address);
	if (!mapping->told) {
		mapping->told = true;
		mapping->lost(mapping->arg);
	}
}

static void
user_is_busy(void)
{
	unsigned int slice = take_below(&channel_input, N_SLICES);

	slices[slice].busy = !slices[slice].busy;
}

static void
user_calls(void)
{
	uint32_t code = (uint32_t)take(&channel_input, 1);

	require(bar_lessee_call(lessee, code, 1, take_below(&channel_input, 8)) <= 0,
		"a call returns an errno or 0");
}

static void
kernel_fails(void)
{
	map_error = take_below(&channel_input, 2) != 0 ? -ENODEV : 0;
}

static void
time_passes(void)
{
	clock_advance(take(&channel_input, 2) * 1000000);
}

static void
interrupts_run(void)
{
	interrupts_turn();
}

static void
interrupts_pass(void)
{
	unsigned int i;

	for (i = 0; i < N_SLICES; i++)
		slices[i].busy = false;
	interrupts_idle();
}

/* ---- What the lessor says ---- */

static void
lessor_says_message(void)
{
	unsigned int n_fds = take_rights();
	struct lease_message message = take_message(N_SLICES, 1);

	send_bytes(channel, &message, sizeof(message), n_fds);
}

static void
lessor_grants(void)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_GRANT,
		.slice = take_below(&channel_input, N_SLICES),
	};

	message.value = take_below(&channel_input, 4);
	send_bytes(channel, &message, sizeof(message), 1);
}

/** Of the call that may be waiting. */
static void
lessor_answers(void)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_ANSWER,
		.holder = take_below(&channel_input, MAX_ANSWERS),
	};

	message.value = (int32_t)take(&channel_input, 4);
	send_bytes(channel, &message, sizeof(message), 0);
}

static void
lessor_says_bytes(void)
{
	uint8_t bytes[2 * sizeof(struct lease_message)];
	unsigned int n_fds = take_rights();
	size_t i, length = take_below(&channel_input, sizeof(bytes) + 1);

	for (i = 0; i < length; i++)
		bytes[i] = (uint8_t)take(&channel_input, 1);
	send_bytes(channel, bytes, length, n_fds);
}

static void
lessor_listens(void)
{
	if (channel >= 0)
		drain(channel);
}

static void
lessor_hangs_up(void)
{
	if (channel >= 0)
		close(channel);
	channel = -1;
}

typedef void (*step_fn)(void);

static const step_fn lessor_steps[] = {
	lessor_grants, lessor_says_message, lessor_answers, lessor_says_bytes, lessor_listens,
	lessor_hangs_up,
};

static const step_fn user_steps[] = {
	user_asks, user_touches, user_is_busy, user_calls, kernel_fails, time_passes,
	interrupts_run, interrupts_pass,
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void
lessor_goes_on(void)
{
	if (input_left(&channel_input) > 0)
		lessor_steps[take_below(&channel_input, N(lessor_steps))]();
}

/* ---- The rendezvous ---- */

/** Mostly a channel, with a WELCOME in it. */
static void
answer_rendezvous(struct rte_mp_msg *answer)
{
	struct lease_message welcome = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = LEASE_WELCOME,
		.value = N_SLICES,
	};
	struct lease_rendezvous_reply reply = { .version = LEASE_PROTOCOL_VERSION };
	unsigned int kind = take_below(&channel_input, 16);
	const int least = 1;
	int pair[2];

	if (kind == 1)
		return;
	memcpy(answer->name, LEASE_ACTION, sizeof(LEASE_ACTION));
	answer->len_param = sizeof(reply);
	if (kind == 2)
		reply.error = (int32_t)take(&channel_input, 4);
	if (kind == 3)
		answer->len_param = take_below(&channel_input, sizeof(reply));
	memcpy(answer->param, &reply, sizeof(reply));
	if (kind == 4)
		return;
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "a channel");
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	channel = pair[0];
	answer->num_fds = 1;
	answer->fds[0] = pair[1];
	if (kind == 5)
		answer->fds[answer->num_fds++] = dup(pair[1]);
	if (kind != 6)
		send_bytes(channel, &welcome, sizeof(welcome), 0);
}

static void
check(void)
{
	unsigned int i;

	for (i = 0; i < N_SLICES; i++)
		if (slices[i].address != NULL)
			mapping_at(slices[i].address);
	require(hangups <= 1, "a lessor hangs up once");
}

static void
use(unsigned int n_own)
{
	unsigned int step;

	while (input_left(&channel_input) > 0) {
		step = take_below(&channel_input, N(user_steps) + N(lessor_steps));
		if (step < N(user_steps))
			user_steps[step]();
		else
			lessor_steps[step - N(user_steps)]();
		check();
		/* Its end of the channel, and what it is watched by. */
		require(count_descriptors() == n_own + (channel >= 0) + 1 + (hangups == 0),
			"no descriptor is left open");
	}
}

void
fuzz_lessee(void)
{
	struct bar_lessee_conf conf = {
		.name = "0000:01:00.0",
		.nb_slices = N_SLICES,
		.length = PAGE,
		.granted = granted,
		.lost = lost,
		.busy = busy,
		.hangup = hangup,
	};
	unsigned int i, n_own = count_descriptors();

	memset(slices, 0, sizeof(slices));
	hangups = 0;
	map_error = 0;
	channel = -1;
	primary = answer_rendezvous;
	while_waiting = lessor_goes_on;
	if (bar_lessee_create(&conf, &lessee) == 0) {
		use(n_own);
		bar_lessee_destroy(lessee);
	}
	for (i = 0; i < N_MAPPINGS; i++)
		require(!mappings[i].mapped, "every mapping is gone");
	lessor_hangs_up();
}

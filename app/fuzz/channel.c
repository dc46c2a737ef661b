/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Fuzzes the channel between lessor and lessee: lib/bar_lease at one end, an enemy at the other.
 * The first byte says at which end.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_log.h>

#include "channel.h"
#include "fd_message.h"
#include "target.h"

struct input channel_input;

bool
send_bytes(int fd, const void *data, size_t length, unsigned int n_fds)
{
	return fd_message_send(fd, data, length, STDERR_FILENO, n_fds, MSG_DONTWAIT) >= 0;
}

unsigned int
drain(int fd)
{
	struct lease_ancillary ancillary;
	struct lease_message message;
	unsigned int count = 0;
	int ret;

	while ((ret = lease_receive(fd, &message, &ancillary)) == 0) {
		lease_ancillary_close(&ancillary);
		count++;
	}
	require(ret == -EAGAIN || ret == -EPIPE, "what the library says is well formed");
	return count;
}

struct lease_message
take_message(unsigned int n_slices, int32_t lease)
{
	struct lease_message message = { .version = LEASE_PROTOCOL_VERSION, .value = lease };
	unsigned int kind = take_below(&channel_input, 8);

	message.type = (uint16_t)take_below(&channel_input, LEASE_NOTICE + 3);
	message.slice = take_below(&channel_input, n_slices + 1);
	if (kind == 5)
		message.version = (uint16_t)take(&channel_input, 2);
	if (kind == 6)
		message.slice = (uint32_t)take(&channel_input, 4);
	if (kind == 7) {
		message.type = (uint16_t)take(&channel_input, 2);
		message.slice = LEASE_ALL_SLICES;
	}
	if (kind >= 4) {
		message.value = (int32_t)take(&channel_input, 4);
		message.holder = (int32_t)take(&channel_input, 1);
	}
	return message;
}

unsigned int
take_rights(void)
{
	static const uint8_t counts[] = { 0, 0, 0, 0, 1, 2, 8, 9, FD_MESSAGE_MAX };

	return counts[take_below(&channel_input, sizeof(counts))];
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	rte_log_set_global_level(RTE_LOG_EMERG);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (* const ends[])(void) = { fuzz_lessor, fuzz_lessee };
	unsigned int before = count_descriptors();

	channel_input = (struct input){ data, data + size };
	eal_begin();
	ends[take_below(&channel_input, sizeof(ends) / sizeof(ends[0]))]();
	eal_end();
	require(count_descriptors() == before, "every descriptor is closed");
	return 0;
}

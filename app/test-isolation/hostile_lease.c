/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <poll.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "hostile.h"

#define PATIENCE_MS 10000

int
channel_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;

	strncpy(address.sun_path, victim.socket, sizeof(address.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

bool
channel_say(int channel, uint16_t type, uint32_t slice, int32_t value)
{
	struct lease_message message = {
		.version = LEASE_PROTOCOL_VERSION,
		.type = type,
		.slice = slice,
		.value = value,
	};

	return lease_send(channel, &message, -1) == 0;
}

int
channel_hear(int channel, struct lease_message *message, int *fd, int ms)
{
	struct pollfd readable = { .fd = channel, .events = POLLIN };
	struct lease_ancillary ancillary;

	if (poll(&readable, 1, ms) <= 0)
		return NO_EFFECT;
	if (lease_receive(channel, message, &ancillary) != 0)
		return HUNG_UP_ON;
	if (fd != NULL) {
		*fd = ancillary.fd;
		ancillary.fd = -1;
	}
	lease_ancillary_close(&ancillary);
	return WORKED;
}

int
channel_hear_type(int channel, uint16_t type, struct lease_message *message, int *fd)
{
	int ret;

	do {
		ret = channel_hear(channel, message, fd, PATIENCE_MS);
	} while (ret == WORKED && message->type != type &&
		 (message->type == LEASE_AVAILABLE || message->type == LEASE_NOTICE));
	return ret;
}

int
channel_hear_end(int channel, int ms)
{
	struct lease_message message;
	int ret;

	do {
		ret = channel_hear(channel, &message, NULL, ms);
	} while (ret == WORKED);
	return ret;
}

int
channel_greeted(void)
{
	struct lease_message message = { .type = 0 };
	int channel = channel_open();

	if (channel < 0)
		cannot_begin("connect");
	channel_say(channel, LEASE_HELLO, 0, 0);
	if (channel_hear_type(channel, LEASE_WELCOME, &message, NULL) != WORKED ||
	    message.type != LEASE_WELCOME)
		cannot_begin("no welcome");
	return channel;
}

int
channel_ask(int channel, uint32_t slice, int *fd, int32_t *lease)
{
	struct lease_message message = { .type = 0 };
	int ret;

	if (!channel_say(channel, LEASE_REQUEST, slice, 0))
		return HUNG_UP_ON;
	ret = channel_hear_type(channel, LEASE_GRANT, &message, fd);
	if (ret != WORKED)
		return ret;
	if (lease != NULL)
		*lease = message.value;
	return message.type == LEASE_GRANT ? WORKED : message.value;
}

static void
take_stock(struct holding *holding)
{
	holding->channel = -1;
	holding->fd = victim.stock_fd;
	holding->offset = victim.stock_offset;
}

/** A lease that another attack has had is perhaps being reset. */
static void
take_leased(struct holding *holding)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int ms, ret = EBUSY;

	holding->channel = channel_greeted();
	holding->offset = 0;
	for (ms = 0; ms < PATIENCE_MS && ret == EBUSY; ms += 10) {
		ret = channel_ask(holding->channel, victim.mine, &holding->fd, &holding->lease);
		if (ret == EBUSY)
			nanosleep(&pause, NULL);
	}
	if (ret != WORKED || holding->fd < 0)
		cannot_begin("no lease");
}

struct holding
take_lease(void)
{
	struct holding holding = { .fd = -1 };

	if (victim.stock)
		take_stock(&holding);
	else
		take_leased(&holding);
	holding.page = mmap(NULL, victim.page, PROT_READ | PROT_WRITE, MAP_SHARED, holding.fd,
			    holding.offset);
	if (holding.page == MAP_FAILED)
		cannot_begin("no mapping");
	return holding;
}

/** The lessor revokes before it hangs up. A stock driver has nothing to revoke with. */
void
lose_lease(struct holding *holding)
{
	if (victim.stock)
		return;
	shutdown(holding->channel, SHUT_WR);
	if (channel_hear_end(holding->channel, PATIENCE_MS) != HUNG_UP_ON)
		cannot_begin("not hung up on");
}

/* ---- Access that may fault ---- */

static _Thread_local sigjmp_buf fault;

static void
on_fault(int signo)
{
	siglongjmp(fault, signo);
}

static void
catch_faults(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/** An index of no queue: the device has nothing to do. */
#define NO_QUEUE 0x7fff

int
touch(volatile uint16_t *address)
{
	int signo = sigsetjmp(fault, 0);

	if (signo != 0)
		return -signo;
	catch_faults();
	*address = NO_QUEUE;
	return WORKED;
}

int
look(volatile uint16_t *address)
{
	int signo = sigsetjmp(fault, 0);

	if (signo != 0)
		return -signo;
	catch_faults();
	(void)*address;
	return WORKED;
}

int
map_and_touch(int fd, off_t offset)
{
	void *page = mmap(NULL, victim.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	return page == MAP_FAILED ? errno : touch(page);
}

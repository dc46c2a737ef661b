/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Interrupts, with eventfds that the test writes to in the place of the kernel: each reaches who
 * asked for it, and no vector is given that the device has not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_interrupts.h>

#include "virtio_lease.h"

#define VECTORS 4
#define PORT 0

int vlease_logtype;
struct vlease_doorbell vlease_doorbells[VLEASE_MAX_DOORBELLS];

static struct vlease_adapter adapter;
static struct vlease_process process;
static struct rte_eth_dev *dev = &rte_eth_devices[PORT];

/** What was routed, what the device reads as, and what became of it. */
static int fds[VECTORS], request_fd;
static unsigned int n_fds;
static uint8_t status;
static int link_changed, used_already;
static unsigned int link_events, reset_events, removal_events, told_lessees;

int
vfio_device_msix_count(const struct vfio_device *device)
{
	return VECTORS;
}

int
vfio_device_set_msix(struct vfio_device *device, const int *eventfds, unsigned int count)
{
	n_fds = count;
	if (count > 0)
		memcpy(fds, eventfds, count * sizeof(fds[0]));
	return 0;
}

int
vfio_device_set_request_eventfd(const struct vfio_device *device, int eventfd)
{
	request_fd = eventfd;
	return 0;
}

const char *
vfio_device_error(void)
{
	return "";
}

uint8_t
vlease_pci_status(const struct vlease_pci *pci)
{
	return status;
}

int
vlease_pci_config_vector(struct vlease_pci *pci, uint16_t vector)
{
	return vector == 0 ? 0 : -ENOSPC;
}

void
vlease_lessor_notify_link(struct vlease_process *the)
{
	told_lessees++;
}

static unsigned int announce_calls;

void
vlease_announce(struct rte_eth_dev *the)
{
	assert_ptr_equal(the, dev);
	announce_calls++;
}

bool
vlease_rxq_interrupt(struct vlease_rxq *q, bool on)
{
	return on && used_already;
}

static int
link_update(struct rte_eth_dev *the, int wait)
{
	return link_changed;
}

const struct eth_dev_ops vlease_primary_ops = { .link_update = link_update };

static int
on_event(uint16_t port, enum rte_eth_event_type event, void *counter, void *more)
{
	__atomic_fetch_add((unsigned int *)counter, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
signal_and_expect(int fd, const unsigned int *counter, unsigned int expected)
{
	const uint64_t one = 1;
	unsigned int waited;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	for (waited = 0; __atomic_load_n(counter, __ATOMIC_RELAXED) != expected; waited++) {
		assert_true(waited < 5000);
		rte_delay_us_sleep(1000);
	}
}

static void
events(void **state)
{
	status = 7;
	process.started = true;
	link_changed = 0;
	dev->data->dev_conf.intr_conf.lsc = 1;
	assert_int_equal(vlease_interrupts_start(dev), 0);
	assert_int_equal(n_fds, 1);
	signal_and_expect(fds[0], &told_lessees, 1);
	assert_int_equal(link_events, 1);
	status |= VIRTIO_STATUS_NEEDS_RESET;
	signal_and_expect(fds[0], &told_lessees, 2);
	assert_int_equal(reset_events, 1);
	/* Not the link, not a device that is stopped. */
	link_changed = -1;
	signal_and_expect(fds[0], &reset_events, 2);
	process.started = false;
	signal_and_expect(request_fd, &removal_events, 1);
	signal_and_expect(fds[0], &removal_events, 1);
	process.started = true;
	status = UINT8_MAX;
	signal_and_expect(fds[0], &removal_events, 2);
	assert_int_equal(link_events, 2);
	assert_int_equal(reset_events, 2);
	assert_int_equal(told_lessees, 2);
	/* Not of a device that is stopped, or gone. */
	assert_int_equal(announce_calls, 3);
	vlease_interrupts_stop(dev);
	assert_int_equal(n_fds, 0);
}

static bool
wakes(int epoll, int milliseconds)
{
	struct rte_epoll_event event;

	return rte_epoll_wait(epoll, &event, 1, milliseconds) == 1;
}

static void
receive_queues(void **state)
{
	const uint64_t one = 1;
	volatile uint16_t doorbell;
	unsigned int round;

	dev->data->dev_conf.intr_conf.rxq = 1;
	dev->data->nb_rx_queues = VECTORS;
	assert_int_equal(vlease_interrupts_start(dev), -ENOSPC);
	assert_int_equal(vlease_rx_queue_intr_enable(dev, 0), -ENOTSUP);
	dev->data->nb_rx_queues = VECTORS - 1;
	for (round = 0; round < 2; round++) {
		assert_int_equal(vlease_interrupts_start(dev), 0);
		assert_int_equal(n_fds, VECTORS);
		assert_int_equal(vlease_queue_vector(&process, 2), 2);
		assert_int_equal(vlease_queue_vector(&process, 3), 0);
		assert_int_equal(rte_eth_dev_rx_intr_ctl_q(PORT, 1, RTE_EPOLL_PER_THREAD,
							   RTE_INTR_EVENT_ADD, NULL), 0);
		vlease_set_doorbell(vlease_doorbell_slot(PORT, 2), &doorbell);
		used_already = 0;
		assert_int_equal(vlease_rx_queue_intr_enable(dev, 1), 0);
		assert_false(wakes(RTE_EPOLL_PER_THREAD, 0));
		assert_int_equal(write(fds[2], &one, sizeof(one)), sizeof(one));
		assert_true(wakes(RTE_EPOLL_PER_THREAD, 1000));
		assert_false(wakes(RTE_EPOLL_PER_THREAD, 0));
		/* Used before the device knew that it was to say so. */
		used_already = 1;
		assert_int_equal(vlease_rx_queue_intr_enable(dev, 1), 0);
		assert_true(wakes(RTE_EPOLL_PER_THREAD, 1000));
		/* Not polled so far, so nothing can arrive. */
		vlease_set_doorbell(vlease_doorbell_slot(PORT, 2), NULL);
		used_already = 0;
		assert_int_equal(vlease_rx_queue_intr_enable(dev, 1), 0);
		assert_true(wakes(RTE_EPOLL_PER_THREAD, 1000));
		vlease_interrupts_stop(dev);
		assert_int_equal(vlease_queue_vector(&process, 2), 0);
	}
}

static int
setup(void **state)
{
	static const struct {
		enum rte_eth_event_type event;
		unsigned int *counter;
	} watched[] = {
		{ RTE_ETH_EVENT_INTR_LSC, &link_events },
		{ RTE_ETH_EVENT_INTR_RESET, &reset_events },
		{ RTE_ETH_EVENT_INTR_RMV, &removal_events },
	};
	static void *queues[VECTORS];
	unsigned int i;

	if (rte_eth_dev_allocate("test") != dev)
		return -1;
	process.adapter = &adapter;
	adapter.usable = UINT64_MAX;
	dev->process_private = &process;
	dev->data->dev_private = &adapter;
	dev->data->rx_queues = queues;
	dev->state = RTE_ETH_DEV_ATTACHED;
	for (i = 0; i < RTE_DIM(watched); i++)
		rte_eth_dev_callback_register(PORT, watched[i].event, on_event,
					      watched[i].counter);
	return vlease_interrupts_create(dev);
}

static int
teardown(void **state)
{
	vlease_interrupts_destroy(dev);
	assert_null(dev->intr_handle);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *eal[] = {
		argv[0], "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--iova-mode=va",
		"--no-telemetry", "-l", "0", "--log-level=lib.eal:error",
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(receive_queues),
	};

	if (rte_eal_init(RTE_DIM(eal), (char **)(uintptr_t)eal) < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}

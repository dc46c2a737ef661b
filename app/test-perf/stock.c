/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * net_virtio_user, and behind it DPDK's vhost library, which is what net_vhost consists of. The
 * library maps the driver's memory a second time and serves the queues by copying.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_vhost.h>

#include "frame.h"
#include "measure.h"
#include "port.h"

/** As the guest sees it, the device's queues of the first pair. */
#define RX_QUEUE 0
#define TX_QUEUE 1

/** Seconds that the two sides may take to agree. */
#define PATIENCE 5

struct vhost {
	char name[32];
	int vid;			/* written by the library's thread; -1: not ready */
	struct rte_mempool *pool;
	struct rte_mbuf *frames[MAX_BURST];	/* copied from, again and again */
};

/**
 * The sockets that the library listens at, and whose port is connected. They are made once: the
 * library may take a second to notice a new one.
 */
#define MAX_SOCKETS 2

static struct {
	char path[64];
	struct vhost *vhost;
} sockets[MAX_SOCKETS];

static char directory[32];

static struct vhost *
find_vhost(int vid)
{
	char path[64];
	unsigned int i;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) != 0)
		return NULL;
	for (i = 0; i < MAX_SOCKETS; i++)
		if (strcmp(sockets[i].path, path) == 0)
			return sockets[i].vhost;
	return NULL;
}

static int
device_is_new(int vid)
{
	struct vhost *vhost = find_vhost(vid);

	if (vhost == NULL)
		return -1;
	/* As net_vhost does. */
	rte_vhost_enable_guest_notification(vid, RX_QUEUE, 0);
	rte_vhost_enable_guest_notification(vid, TX_QUEUE, 0);
	__atomic_store_n(&vhost->vid, vid, __ATOMIC_RELEASE);
	return 0;
}

static void
device_is_gone(int vid)
{
	struct vhost *vhost = find_vhost(vid);

	if (vhost != NULL)
		__atomic_store_n(&vhost->vid, -1, __ATOMIC_RELEASE);
}

static const struct rte_vhost_device_ops vhost_ops = {
	.new_device = device_is_new,
	.destroy_device = device_is_gone,
};

static int
listen_at(const char *path)
{
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) != 0 ||
	    rte_vhost_driver_callback_register(path, &vhost_ops) != 0 ||
	    rte_vhost_driver_start(path) != 0) {
		fprintf(stderr, "%s: the vhost library cannot serve it\n", path);
		return -EIO;
	}
	return 0;
}

static void
remove_sockets(void)
{
	unsigned int i;

	for (i = 0; i < MAX_SOCKETS; i++)
		unlink(sockets[i].path);
	rmdir(directory);
}

static int
open_sockets(void)
{
	unsigned int i;
	int ret;

	if (directory[0] != '\0')
		return 0;
	strcpy(directory, "/tmp/test-perf.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -errno;
	atexit(remove_sockets);
	for (i = 0; i < MAX_SOCKETS; i++) {
		snprintf(sockets[i].path, sizeof(sockets[i].path), "%s/%u", directory, i);
		ret = listen_at(sockets[i].path);
		if (ret != 0)
			return ret;
	}
	return 0;
}

void
stock_end(void)
{
	unsigned int i;

	for (i = 0; i < MAX_SOCKETS; i++)
		if (sockets[i].path[0] != '\0')
			rte_vhost_driver_unregister(sockets[i].path);
}

static void
stock_destroy(struct port *port)
{
	struct vhost *vhost = port->device;
	unsigned int i;

	if (vhost->name[0] != '\0')
		rte_vdev_uninit(vhost->name);
	for (i = 0; i < MAX_SOCKETS; i++)
		if (sockets[i].vhost == vhost)
			sockets[i].vhost = NULL;
	rte_mempool_free(vhost->pool);
	rte_free(vhost);
}

static int
make_frames(struct vhost *vhost)
{
	static unsigned int serial;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "vhost_%u", serial++);
	vhost->pool = rte_pktmbuf_pool_create(name, 1023, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					      SOCKET_ID_ANY);
	if (vhost->pool == NULL)
		return -rte_errno;
	return rte_pktmbuf_alloc_bulk(vhost->pool, vhost->frames, MAX_BURST);
}

static int
make_driver(struct port *port, struct vhost *vhost, const char *path)
{
	const struct setup *setup = &port->setup;
	char arguments[256];
	int ret;

	snprintf(arguments, sizeof(arguments),
		 "path=%s,mac=02:00:00:00:00:01,"
		 "queue_size=%u,packed_vq=%u,mrg_rxbuf=%u,in_order=%u,vectorized=%u", path,
		 setup->ring, mode_is_packed(setup->mode),
		 mode_is_mergeable(setup->mode), mode_is_in_order(setup->mode), setup->vector);
	ret = rte_vdev_init(vhost->name, arguments);
	if (ret != 0) {
		vhost->name[0] = '\0';
		return ret;
	}
	return rte_eth_dev_get_port_by_name(vhost->name, &port->id);
}

static int
stock_create(struct port *port)
{
	static unsigned int serial;
	struct vhost *vhost;
	unsigned int i = 0;
	int ret;

	while (sockets[i].vhost != NULL)
		i++;
	vhost = rte_zmalloc("vhost", sizeof(*vhost), RTE_CACHE_LINE_SIZE);
	if (vhost == NULL)
		return -ENOMEM;
	vhost->vid = -1;
	sockets[i].vhost = vhost;
	port->device = vhost;
	ret = open_sockets();
	if (ret == 0)
		ret = make_frames(vhost);
	snprintf(vhost->name, sizeof(vhost->name), "net_virtio_user%u", serial++);
	if (ret == 0)
		ret = make_driver(port, vhost, sockets[i].path);
	if (ret != 0)
		stock_destroy(port);
	return ret;
}

static int
stock_attach(struct port *port)
{
	struct vhost *vhost = port->device;
	uint64_t until = rte_get_timer_cycles() + PATIENCE * rte_get_timer_hz();
	uint64_t features;

	while (__atomic_load_n(&vhost->vid, __ATOMIC_ACQUIRE) < 0) {
		if (rte_get_timer_cycles() > until)
			return -ETIMEDOUT;
		rte_delay_us_sleep(1000);
	}
	if (rte_vhost_get_negotiated_features(vhost->vid, &features) != 0)
		return -EIO;
	if ((features & port->setup.mode->features) != port->setup.mode->features) {
		fprintf(stderr, "%s: features %#jx lack some of %#jx\n", vhost->name,
			(uintmax_t)features, (uintmax_t)port->setup.mode->features);
		return -EPROTO;
	}
	return 0;
}

static unsigned int
stock_deliver(struct port *port, uint16_t len, unsigned int n)
{
	const bool checksum = mode_has_checksum(port->setup.mode);
	struct vhost *vhost = port->device;
	unsigned int i;

	for (i = 0; i < n; i++)
		frame_write(vhost->frames[i], len, checksum);
	return rte_vhost_enqueue_burst(vhost->vid, RX_QUEUE, vhost->frames, n);
}

static unsigned int
stock_take(struct port *port, uint16_t len, unsigned int n)
{
	struct vhost *vhost = port->device;
	struct rte_mbuf *frames[MAX_BURST];
	unsigned int i, taken;

	taken = rte_vhost_dequeue_burst(vhost->vid, TX_QUEUE, vhost->pool, frames, n);
	for (i = 0; i < taken; i++)
		if (frames[i]->pkt_len != len)
			break;
	rte_pktmbuf_free_bulk(frames, taken);
	return i;
}

const struct port_kind stock = {
	.driver = "stock",
	.create = stock_create,
	.attach = stock_attach,
	.destroy = stock_destroy,
	.deliver = stock_deliver,
	.take = stock_take,
};

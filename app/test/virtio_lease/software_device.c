/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <string.h>

#include "software_device.h"

void
software_device_init(struct software_device *dev, void *ring, uint16_t size)
{
	memset(dev, 0, sizeof(*dev));
	dev->desc = ring;
	dev->avail = RTE_PTR_ADD(ring, vlease_avail_offset(size));
	dev->used = RTE_PTR_ADD(ring, vlease_used_offset(size));
	dev->size = size;
	dev->mask = size - 1;
	dev->doorbell = SOFTWARE_DEVICE_SILENT;
}

bool
software_device_rung(struct software_device *dev)
{
	if (dev->doorbell == SOFTWARE_DEVICE_SILENT)
		return false;
	dev->rung_with = rte_le_to_cpu_16(dev->doorbell);
	dev->doorbell = SOFTWARE_DEVICE_SILENT;
	dev->rung++;
	return true;
}

void
software_device_suppress(struct software_device *dev, bool suppress)
{
	dev->used->flags = suppress ? RTE_LE16(VLEASE_USED_NO_NOTIFY) : 0;
}

static uint16_t
avail_idx(const struct software_device *dev)
{
	return rte_le_to_cpu_16(__atomic_load_n(&dev->avail->idx, __ATOMIC_ACQUIRE));
}

unsigned int
software_device_available(const struct software_device *dev)
{
	return (uint16_t)(avail_idx(dev) - dev->avail_cons) + dev->n_held;
}

int
software_device_pop(struct software_device *dev)
{
	if (avail_idx(dev) == dev->avail_cons)
		return -1;
	return rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);
}

/** Numerical Recipes' generator: enough to mix up an order. */
static uint32_t
draw(struct software_device *dev, uint32_t below)
{
	dev->shuffle = dev->shuffle * 1664525 + 1013904223;
	if (dev->shuffle == 0)
		dev->shuffle = 1;
	return (uint32_t)(((uint64_t)dev->shuffle * below) >> 32);
}

/** Take one of the held ids: the oldest, or any. */
static uint16_t
pick(struct software_device *dev)
{
	uint32_t i = dev->shuffle ? draw(dev, dev->n_held) : 0;
	uint16_t id = dev->held[i];

	dev->n_held--;
	if (dev->shuffle)
		dev->held[i] = dev->held[dev->n_held];
	else
		memmove(&dev->held[0], &dev->held[1], dev->n_held * sizeof(dev->held[0]));
	return id;
}

static void
hold_all(struct software_device *dev)
{
	int id;

	while (dev->n_held < dev->size && (id = software_device_pop(dev)) >= 0)
		dev->held[dev->n_held++] = id;
}

static inline void
write_used(struct software_device *dev, uint32_t id, uint32_t len)
{
	struct vlease_used_elem *elem = &dev->used->ring[dev->used_idx++ & dev->mask];

	elem->id = rte_cpu_to_le_32(id);
	elem->len = rte_cpu_to_le_32(len);
}

void
software_device_show(struct software_device *dev, uint16_t hidden)
{
	__atomic_store_n(&dev->used->idx, rte_cpu_to_le_16(dev->used_idx - hidden),
			 __ATOMIC_RELEASE);
}

void
software_device_use(struct software_device *dev, uint32_t id, uint32_t len)
{
	write_used(dev, id, len);
	software_device_show(dev, 0);
}

static void *
buffer(const struct software_device *dev, uint16_t id)
{
	return (void *)(uintptr_t)(rte_le_to_cpu_64(dev->desc[id].addr) + dev->offset);
}

unsigned int
software_device_deliver_hidden(struct software_device *dev, const void *frame, size_t len)
{
	struct vlease_net_hdr hdr = dev->header;
	const uint8_t *from = frame;
	unsigned int num, i;
	size_t room, n;
	uint8_t *to;
	uint16_t id;

	if (dev->shuffle)
		hold_all(dev);
	if (software_device_available(dev) == 0)
		return 0;
	if (dev->n_held == 0)
		dev->held[dev->n_held++] = (uint16_t)software_device_pop(dev);
	room = rte_le_to_cpu_32(dev->desc[dev->held[0]].len);
	num = (VLEASE_NET_HDR_SIZE + len + room - 1) / room;
	if (software_device_available(dev) < num)
		return 0;
	hdr.num_buffers = rte_cpu_to_le_16(num);
	for (i = 0; i < num; i++) {
		if (dev->n_held == 0)
			dev->held[dev->n_held++] = (uint16_t)software_device_pop(dev);
		id = pick(dev);
		to = buffer(dev, id);
		n = 0;
		if (i == 0) {
			memcpy(to, &hdr, VLEASE_NET_HDR_SIZE);
			n = VLEASE_NET_HDR_SIZE;
		}
		room = rte_le_to_cpu_32(dev->desc[id].len) - n;
		room = RTE_MIN(room, len);
		memcpy(to + n, from, room);
		from += room;
		len -= room;
		write_used(dev, id, n + room);
	}
	return num;
}

unsigned int
software_device_deliver(struct software_device *dev, const void *frame, size_t len)
{
	unsigned int num = software_device_deliver_hidden(dev, frame, len);

	software_device_show(dev, 0);
	return num;
}

/** The bytes of a chain, header and all, through a sink that drops what does not fit. */
static long
gather(const struct software_device *dev, uint16_t id, uint8_t *hdr, uint8_t *frame, size_t room)
{
	const struct vlease_desc *desc;
	unsigned int links = 0;
	size_t at = 0, i, len;
	const uint8_t *from;

	for (;; id = rte_le_to_cpu_16(desc->next)) {
		if (id > dev->mask || ++links > dev->size)
			return -2;
		desc = &dev->desc[id];
		len = rte_le_to_cpu_32(desc->len);
		if (len == 0 || (rte_le_to_cpu_16(desc->flags) & ~VLEASE_DESC_NEXT))
			return -2;
		from = buffer(dev, id);
		for (i = 0; i < len && at < VLEASE_NET_HDR_SIZE; i++)
			hdr[at++] = from[i];
		if (i < len) {
			size_t done = at - VLEASE_NET_HDR_SIZE;

			if (done < room)
				memcpy(frame + done, from + i, RTE_MIN(len - i, room - done));
			at += len - i;
		}
		if (!(rte_le_to_cpu_16(desc->flags) & VLEASE_DESC_NEXT))
			return at < VLEASE_NET_HDR_SIZE ? -2 : (long)(at - VLEASE_NET_HDR_SIZE);
	}
}

long
software_device_take(struct software_device *dev, void *frame, size_t room)
{
	uint8_t hdr[VLEASE_NET_HDR_SIZE];
	int id = software_device_pop(dev);
	long len;

	if (id < 0)
		return -1;
	len = gather(dev, id, hdr, frame, room);
	if (len < 0 || memcmp(hdr, &dev->header, sizeof(hdr)) != 0 || dev->n_held == dev->size)
		return -2;
	dev->held[dev->n_held++] = id;
	return len;
}

void
software_device_complete(struct software_device *dev, unsigned int n)
{
	for (; n > 0 && dev->n_held > 0; n--)
		write_used(dev, pick(dev), 0);
	software_device_show(dev, 0);
}

unsigned int
software_device_fill(struct software_device *dev, unsigned int n, uint32_t len)
{
	unsigned int i;

	n = RTE_MIN(n, (unsigned int)(uint16_t)(avail_idx(dev) - dev->avail_cons));
	for (i = 0; i < n; i++) {
		uint16_t id = rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);
		struct vlease_net_hdr *hdr = buffer(dev, id);

		*hdr = (struct vlease_net_hdr){ .num_buffers = RTE_LE16(1) };
		write_used(dev, id, VLEASE_NET_HDR_SIZE + len);
	}
	software_device_show(dev, 0);
	return n;
}

unsigned int
software_device_drain(struct software_device *dev, unsigned int n)
{
	unsigned int i;

	n = RTE_MIN(n, (unsigned int)(uint16_t)(avail_idx(dev) - dev->avail_cons));
	for (i = 0; i < n; i++) {
		uint16_t id = rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);

		write_used(dev, id, 0);
	}
	software_device_show(dev, 0);
	return n;
}

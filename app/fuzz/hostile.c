/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <string.h>

#include "hostile.h"
#include "pool.h"

#define MAX_FRAME 2048

void
hostile_attach(struct hostile *h, const struct vlease_queue_config *config, bool rx,
	       uint32_t shuffle)
{
	bool packed = vlease_is_packed(config);

	if (packed)
		software_device_init_packed(&h->device, config->ring, config->size);
	else
		software_device_init(&h->device, config->ring, config->size);
	h->device.in_order = vlease_is_in_order(config);
	h->device.event_idx = vlease_has_event_idx(config);
	h->device.shuffle = shuffle;
	h->config = config;
	h->rx = rx;
	h->lied = false;
	h->in_burst = false;
}

/* ---- What the driver shows to the device ---- */

static bool
in_ring(const struct hostile *h, uint64_t address, uint64_t length)
{
	size_t bytes = hostile_ring_bytes(h->config, h->rx);
	uint64_t start = address - (uintptr_t)h->config->ring;

	return start < bytes && length <= bytes - start;
}

/** Each element of a sent chain is in a buffer that is not free, or a header in the ring. */
static void
check_element(const struct hostile *h, uint64_t address, uint32_t length)
{
	require(length > 0, "the driver sends an empty element");
	require(pool_is_live(address, length) || in_ring(h, address, length),
		"the driver sends what is no live buffer");
}

/** The same of a descriptor, and if it is a table, of what is in it. */
static void
check_descriptor(const struct hostile *h, uint64_t address, uint32_t length, uint16_t flags)
{
	const struct vlease_desc *table = (const struct vlease_desc *)(uintptr_t)address;
	uint32_t i;

	check_element(h, address, length);
	if (!(flags & VLEASE_DESC_INDIRECT))
		return;
	require(in_ring(h, address, length) && length % sizeof(*table) == 0,
		"a table of descriptors is in the ring memory");
	for (i = 0; i < length / sizeof(*table); i++)
		check_element(h, table[i].addr, table[i].len);
}

static void
check_chain(const struct hostile *h, uint16_t place)
{
	const struct software_device *dev = &h->device;
	uint16_t id = dev->popped.id, i;

	if (vlease_is_packed(h->config)) {
		for (i = 0; i < dev->popped.count; i++, place++)
			check_descriptor(h, dev->packed_desc[place & dev->mask].addr,
					 dev->packed_desc[place & dev->mask].len,
					 dev->packed_desc[place & dev->mask].flags);
		return;
	}
	for (i = 0; i < dev->size; i++) {
		require(id < dev->size, "a chain stays in the ring");
		check_descriptor(h, dev->desc[id].addr, dev->desc[id].len, dev->desc[id].flags);
		if (!(dev->desc[id].flags & VLEASE_DESC_NEXT))
			return;
		id = dev->desc[id].next;
	}
	require(false, "a chain ends");
}

/** Take the next buffer. What is in it is looked at for as long as the device has not lied. */
static int
pop(struct hostile *h)
{
	uint16_t place = h->device.avail_cons;
	int id = software_device_pop(&h->device);

	if (id < 0 || h->lied)
		return id;
	if (h->rx)
		require(pool_is_live((uintptr_t)h->device.popped.at, h->device.popped.len),
			"the driver posts what is no live buffer");
	else
		check_chain(h, place);
	return id;
}

/* ---- Steps that keep to the rules ---- */

static void
deliver(struct hostile *h, struct input *in)
{
	static const uint8_t frame[MAX_FRAME];
	size_t len = RTE_ETHER_HDR_LEN + take(in, 2) % (MAX_FRAME - RTE_ETHER_HDR_LEN);

	/* Who has lied may have lost its buffers, and the frame would land anywhere. */
	if (h->lied)
		return;
	if (!(h->config->features & VIRTIO_NET_F_MRG_RXBUF))
		len %= POOL_ROOM;
	software_device_deliver_hidden(&h->device, frame, len);
}

static void
take_sent(struct hostile *h, struct input *in)
{
	unsigned int n = 1 + take_below(in, 8);

	while (n-- > 0 && h->device.n_held < SOFTWARE_DEVICE_HOLDS && pop(h) >= 0)
		h->device.held[h->device.n_held++] = h->device.popped;
}

static void
serve(struct hostile *h, struct input *in)
{
	if (h->rx)
		deliver(h, in);
	else
		take_sent(h, in);
}

static void
complete(struct hostile *h, struct input *in)
{
	unsigned int n = take_below(in, 64);

	if (h->rx)
		software_device_show(&h->device, n & 7);
	else
		software_device_complete(&h->device, n);
}

static void
suppress(struct hostile *h, struct input *in)
{
	unsigned int how = take_below(in, 4);

	if (how < 2)
		software_device_suppress(&h->device, how);
	else
		software_device_want(&h->device, take(in, 2));
}

/* ---- Steps that may not ---- */

static void
write_bytes(uint8_t *to, size_t room, struct input *in)
{
	size_t at = take(in, 2), n = 1 + take_below(in, 8);
	uint64_t bytes = take(in, n);

	if (room == 0)
		return;
	at %= room;
	memcpy(to + at, &bytes, RTE_MIN(n, room - at));
}

/** Fill one buffer with any header, and say anything about it. */
static void
fill(struct hostile *h, struct input *in)
{
	struct software_device *dev = &h->device;
	unsigned int lies = take(in, 1);
	struct vlease_net_hdr hdr = { .num_buffers = rte_cpu_to_le_16(1 + (lies >> 6)) };
	uint32_t id, len = take(in, 2) % (POOL_ROOM + VLEASE_NET_HDR_SIZE + 1);
	uint64_t word;

	if (pop(h) < 0)
		return;
	h->lied = true;
	if (lies & 1) {
		word = take(in, 8);
		memcpy(&hdr, &word, sizeof(word));
		word = take(in, 4);
		memcpy((uint8_t *)&hdr + sizeof(word), &word, sizeof(uint32_t));
	}
	if (h->rx && pool_is_live((uintptr_t)dev->popped.at, sizeof(hdr)))
		memcpy(dev->popped.at, &hdr, sizeof(hdr));
	id = lies & 2 ? take(in, 4) : dev->popped.id;
	len = lies & 4 ? take(in, 4) : len;
	software_device_write_used(dev, id, len);
	if (!(lies & 8))
		software_device_show(dev, 0);
}

/** Say that a buffer is used, whether it is the device's or not. */
static void
use(struct hostile *h, struct input *in)
{
	uint32_t id = take(in, 1);

	h->lied = true;
	software_device_use(&h->device, id & 0x80 ? take(in, 4) : id, take(in, 2));
}

/** Lose the place in the used ring. */
static void
jump(struct hostile *h, struct input *in)
{
	h->lied = true;
	h->device.used_idx += (int8_t)take(in, 1);
	software_device_show(&h->device, 0);
}

/** Write to what is the device's to write. */
static void
write_own(struct hostile *h, struct input *in)
{
	const uint16_t size = h->config->size;
	uint8_t *ring = h->config->ring;
	size_t used = vlease_used_offset(size), event = vlease_packed_device_offset(size);

	h->lied = true;
	if (!vlease_is_packed(h->config))
		write_bytes(ring + used, vlease_header_offset(size) - used, in);
	else if (take_below(in, 8) == 0)
		write_bytes(ring + event, sizeof(struct vlease_packed_event), in);
	else
		write_bytes(ring, size * sizeof(struct vlease_packed_desc), in);
}

/** Write anywhere to the ring. */
static void
write_any(struct hostile *h, struct input *in)
{
	size_t bytes = hostile_ring_bytes(h->config, h->rx);

	if (h->in_burst && !h->rx)
		return;
	h->lied = true;
	write_bytes(h->config->ring, bytes, in);
}

/** Write to the buffer that a descriptor names, whoever has it now. */
static void
write_buffer(struct hostile *h, struct input *in)
{
	const struct software_device *dev = &h->device;
	uint16_t at = take(in, 1) & dev->mask;
	uint64_t address = vlease_is_packed(h->config) ? dev->packed_desc[at].addr :
			   dev->desc[at].addr;

	h->lied = true;
	if (pool_is_live(address, VLEASE_NET_HDR_SIZE))
		write_bytes((uint8_t *)(uintptr_t)address, VLEASE_NET_HDR_SIZE, in);
}

void
hostile_step(struct hostile *h, struct input *in)
{
	static void (* const steps[])(struct hostile *h, struct input *in) = {
		serve, complete, suppress, fill, use, jump, write_own, write_any, write_buffer,
	};

	steps[take_below(in, RTE_DIM(steps))](h, in);
}

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
	dev->doorbell_data = UINT32_MAX;
}

void
software_device_init_packed(struct software_device *dev, void *ring, uint16_t size)
{
	memset(dev, 0, sizeof(*dev));
	dev->packed_desc = ring;
	dev->event = RTE_PTR_ADD(ring, vlease_packed_device_offset(size));
	dev->driver_event = RTE_PTR_ADD(ring, vlease_packed_driver_offset(size));
	dev->size = size;
	dev->mask = size - 1;
	dev->doorbell_data = UINT32_MAX;
}

bool
software_device_rung(struct software_device *dev)
{
	uint32_t value = rte_le_to_cpu_32(dev->doorbell_data);

	if ((uint16_t)value == SOFTWARE_DEVICE_SILENT)
		return false;
	dev->rung_with = (uint16_t)value;
	dev->rung_data = value >> 16;
	dev->doorbell_data = UINT32_MAX;
	dev->rung++;
	return true;
}

static uint16_t
avail_idx(const struct software_device *dev)
{
	return rte_le_to_cpu_16(__atomic_load_n(&dev->avail->idx, __ATOMIC_ACQUIRE));
}

void
software_device_want(struct software_device *dev, uint16_t index)
{
	uint32_t wrap = index / dev->size % 2 == 0;
	rte_le16_t *avail_event;

	if (dev->event == NULL) {
		avail_event = (rte_le16_t *)&dev->used->ring[dev->size];
		*avail_event = rte_cpu_to_le_16(index);
	} else {
		dev->event->word = rte_cpu_to_le_32(index % dev->size | wrap << 15 |
						    VLEASE_PACKED_EVENT_DESC << 16);
	}
}

void
software_device_suppress(struct software_device *dev, bool suppress)
{
	if (dev->event != NULL)
		dev->event->flags = suppress ? RTE_LE16(VLEASE_PACKED_EVENT_DISABLE) : 0;
	else if (dev->event_idx)
		software_device_want(dev, suppress ? avail_idx(dev) - 1 : avail_idx(dev));
	else
		dev->used->flags = suppress ? RTE_LE16(VLEASE_USED_NO_NOTIFY) : 0;
}

bool
software_device_interrupts(struct software_device *dev)
{
	const uint16_t before = dev->interrupted;
	uint16_t i;

	dev->interrupted = dev->used_idx;
	if (before == dev->used_idx)
		return false;
	if (dev->event != NULL)
		return dev->driver_event->flags != RTE_LE16(VLEASE_PACKED_EVENT_DISABLE);
	if (!dev->event_idx)
		return !(dev->avail->flags & RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT));
	for (i = before; i != dev->used_idx; i++)
		if (dev->avail->ring[dev->size] == rte_cpu_to_le_16(i))
			return true;
	return false;
}

/* ---- Available buffers ---- */

/** Whether the driver has made the descriptor at an index of a packed ring available. */
static bool
packed_is_available(const struct software_device *dev, uint16_t index)
{
	const struct vlease_packed_desc *desc = &dev->packed_desc[index & dev->mask];
	uint16_t flags = rte_le_to_cpu_16(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));

	return (flags & VLEASE_PACKED_TURN) == vlease_packed_avail_flags(index, dev->size);
}

/**
 * Descriptors of the available buffer at an index; 0: there is none, or it goes on where nothing
 * is available.
 */
static uint16_t
packed_count(const struct software_device *dev, uint16_t index)
{
	const struct vlease_packed_desc *desc;
	uint16_t count;

	for (count = 1; count <= dev->size; count++, index++) {
		desc = &dev->packed_desc[index & dev->mask];
		if (!packed_is_available(dev, index))
			return 0;
		if (!(desc->flags & RTE_LE16(VLEASE_DESC_NEXT)))
			return count;
	}
	return 0;
}

unsigned int
software_device_available(const struct software_device *dev)
{
	uint16_t at = dev->avail_cons, count, n;

	if (dev->event == NULL)
		return (uint16_t)(avail_idx(dev) - at) + dev->n_held;
	for (n = 0; n < dev->size && (count = packed_count(dev, at)) > 0; n++)
		at += count;
	return n + dev->n_held;
}

/** Where the device sees what is at an address in a descriptor. */
static void *
view(const struct software_device *dev, rte_le64_t address)
{
	return (void *)(uintptr_t)(rte_le_to_cpu_64(address) + dev->offset);
}

static int
pop_packed(struct software_device *dev)
{
	uint16_t count = packed_count(dev, dev->avail_cons), last;
	const struct vlease_packed_desc *desc;

	if (count == 0)
		return -1;
	desc = &dev->packed_desc[dev->avail_cons & dev->mask];
	last = (dev->avail_cons + count - 1) & dev->mask;
	dev->popped = (struct software_buffer){
		.at = view(dev, desc->addr),
		.len = rte_le_to_cpu_32(desc->len),
		.id = rte_le_to_cpu_16(dev->packed_desc[last].id),
		.count = count,
	};
	dev->avail_cons += count;
	return dev->popped.id;
}

int
software_device_pop(struct software_device *dev)
{
	uint16_t id;

	if (dev->event != NULL)
		return pop_packed(dev);
	if (avail_idx(dev) == dev->avail_cons)
		return -1;
	id = rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);
	dev->popped = (struct software_buffer){
		.at = view(dev, dev->desc[id & dev->mask].addr),
		.len = rte_le_to_cpu_32(dev->desc[id & dev->mask].len),
		.id = id,
		.count = 1,
	};
	return id;
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

/** Take one of the held buffers: the oldest, or any. */
static struct software_buffer
pick(struct software_device *dev)
{
	bool any = dev->shuffle && !dev->in_order;
	uint32_t i = any ? draw(dev, dev->n_held) : 0;
	struct software_buffer buffer = dev->held[i];

	dev->n_held--;
	if (any)
		dev->held[i] = dev->held[dev->n_held];
	else
		memmove(&dev->held[0], &dev->held[1], dev->n_held * sizeof(dev->held[0]));
	return buffer;
}

static bool
hold_one(struct software_device *dev)
{
	if (dev->n_held == SOFTWARE_DEVICE_HOLDS || software_device_pop(dev) < 0)
		return false;
	dev->held[dev->n_held++] = dev->popped;
	return true;
}

/* ---- Used entries ---- */

/** Write a used entry and skip as many places as it stands for. */
static void
write_used(struct software_device *dev, uint32_t id, uint32_t len, uint16_t places)
{
	struct vlease_used_elem *elem;
	struct vlease_packed_desc *desc;

	if (dev->event == NULL) {
		elem = &dev->used->ring[dev->used_idx & dev->mask];
		elem->id = rte_cpu_to_le_32(id);
		elem->len = rte_cpu_to_le_32(len);
	} else {
		desc = &dev->packed_desc[dev->used_idx & dev->mask];
		desc->id = rte_cpu_to_le_16(id);
		desc->len = rte_cpu_to_le_32(len);
		if (dev->n_hidden == SOFTWARE_DEVICE_HOLDS)
			software_device_show(dev, 0);
		dev->hidden[dev->n_hidden++] = dev->used_idx;
	}
	dev->used_idx += places;
}

void
software_device_write_used(struct software_device *dev, uint32_t id, uint32_t len)
{
	write_used(dev, id, len, id == dev->popped.id ? dev->popped.count : 1);
}

static void
show_packed(struct software_device *dev, uint16_t index)
{
	uint16_t flags = vlease_packed_used_flags(index, dev->size);

	__atomic_store_n(&dev->packed_desc[index & dev->mask].flags, rte_cpu_to_le_16(flags),
			 __ATOMIC_RELEASE);
}

/** Packed, the first one last: the driver sees a frame of several buffers whole (2.8.9). */
void
software_device_show(struct software_device *dev, uint16_t hidden)
{
	uint16_t n, i;

	if (dev->event == NULL) {
		__atomic_store_n(&dev->used->idx, rte_cpu_to_le_16(dev->used_idx - hidden),
				 __ATOMIC_RELEASE);
		return;
	}
	n = dev->n_hidden - RTE_MIN(hidden, dev->n_hidden);
	for (i = n; i-- > 0;)
		show_packed(dev, dev->hidden[i]);
	dev->n_hidden -= n;
	memmove(&dev->hidden[0], &dev->hidden[n], dev->n_hidden * sizeof(dev->hidden[0]));
}

void
software_device_use(struct software_device *dev, uint32_t id, uint32_t len)
{
	software_device_write_used(dev, id, len);
	software_device_show(dev, 0);
}

/** Whether an in-order device leaves out this used entry, for one of a batch behind it. */
static bool
left_out(struct software_device *dev)
{
	return dev->in_order && dev->shuffle && draw(dev, 2);
}

/** Places that a buffer takes in the used ring. */
static uint16_t
places_of(const struct software_device *dev, const struct software_buffer *buffer)
{
	return dev->event == NULL ? 1 : buffer->count;
}

static size_t
hdr_size(const struct software_device *dev)
{
	return dev->hash_report ? VLEASE_NET_HASH_HDR_SIZE : VLEASE_NET_HDR_SIZE;
}

/* ---- Receiving ---- */

unsigned int
software_device_deliver_hidden(struct software_device *dev, const void *frame, size_t len)
{
	const size_t size = hdr_size(dev);
	struct vlease_net_hash_hdr hdr = {
		.hdr = dev->header,
		.hash_value = rte_cpu_to_le_32(dev->hash_value),
		.hash_report = rte_cpu_to_le_16(dev->hash_type),
	};
	struct software_buffer buffer;
	const uint8_t *from = frame;
	unsigned int num, i;
	uint16_t batch = 0;
	size_t room, n;
	uint8_t *to;

	if (dev->shuffle && !dev->in_order)
		while (hold_one(dev))
			;
	if (dev->n_held == 0 && !hold_one(dev))
		return 0;
	num = (size + len + dev->held[0].len - 1) / dev->held[0].len;
	if (num > 1 && software_device_available(dev) < num)
		return 0;
	hdr.hdr.num_buffers = rte_cpu_to_le_16(num);
	for (i = 0; i < num; i++) {
		if (dev->n_held == 0)
			hold_one(dev);
		buffer = pick(dev);
		to = buffer.at;
		n = 0;
		if (i == 0) {
			memcpy(to, &hdr, size);
			n = size;
		}
		room = buffer.len - n;
		room = RTE_MIN(room, len);
		memcpy(to + n, from, room);
		from += room;
		len -= room;
		batch += places_of(dev, &buffer);
		/* Those left out were filled (2.7.9, 2.8.8). */
		if (i < num - 1 && left_out(dev))
			continue;
		write_used(dev, buffer.id, n + room, batch);
		batch = 0;
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

void
software_device_batch(struct software_device *dev, const void *frame, size_t len, bool last)
{
	struct vlease_net_hdr hdr = { .num_buffers = RTE_LE16(1) };

	if (software_device_pop(dev) < 0)
		return;
	memcpy(dev->popped.at, &hdr, VLEASE_NET_HDR_SIZE);
	memcpy(RTE_PTR_ADD(dev->popped.at, VLEASE_NET_HDR_SIZE), frame, len);
	dev->batched++;
	if (!last)
		return;
	write_used(dev, dev->popped.id, VLEASE_NET_HDR_SIZE + len, dev->batched);
	software_device_show(dev, 0);
	dev->batched = 0;
}

/* ---- Sending ---- */

/** An element of a chain. */
struct element {
	const uint8_t *at;
	size_t len;
	uint16_t flags;
	uint16_t next;	/* id, or index in a packed ring */
};

static struct element
element_at(const struct software_device *dev, uint16_t at)
{
	const struct vlease_packed_desc *packed = &dev->packed_desc[at & dev->mask];
	const struct vlease_desc *desc = &dev->desc[at & dev->mask];

	if (dev->event != NULL)
		return (struct element){
			view(dev, packed->addr),
			rte_le_to_cpu_32(packed->len),
			rte_le_to_cpu_16(packed->flags) & (uint16_t)~VLEASE_PACKED_TURN,
			at + 1,
		};
	return (struct element){
		view(dev, desc->addr), rte_le_to_cpu_32(desc->len), rte_le_to_cpu_16(desc->flags),
		rte_le_to_cpu_16(desc->next),
	};
}

/** Element of an indirect table; in a packed ring's each but the last goes on (2.8.7). */
static struct element
element_in(const struct software_device *dev, struct element table, uint16_t at)
{
	const struct vlease_desc *desc = (const struct vlease_desc *)table.at + at;
	const uint16_t entries = table.len / sizeof(*desc);
	struct element element = {
		view(dev, desc->addr), rte_le_to_cpu_32(desc->len), rte_le_to_cpu_16(desc->flags),
		rte_le_to_cpu_16(desc->next),
	};

	if (at >= entries)
		element.len = 0;
	if (dev->event != NULL) {
		element.flags |= at + 1 < entries ? VLEASE_DESC_NEXT : 0;
		element.next = at + 1;
	}
	return element;
}

/** Whether a descriptor stands for a whole table and nothing else. */
static bool
is_table(struct element element)
{
	return element.flags == VLEASE_DESC_INDIRECT && element.len != 0 &&
	       element.len % sizeof(struct vlease_desc) == 0;
}

/** The bytes of a chain, header and all, through a sink that drops what does not fit. */
static long
gather(const struct software_device *dev, uint16_t at, uint8_t *hdr, uint8_t *frame, size_t room)
{
	struct element element, table = element_at(dev, at);
	const bool indirect = is_table(table);
	const size_t hdr_bytes = hdr_size(dev);
	unsigned int links = 0;
	size_t got = 0, i;

	if (indirect)
		at = 0;
	for (;; at = element.next) {
		if ((dev->event == NULL && at > dev->mask) || ++links > dev->size)
			return -2;
		element = indirect ? element_in(dev, table, at) : element_at(dev, at);
		if (element.len == 0 || (element.flags & ~VLEASE_DESC_NEXT))
			return -2;
		for (i = 0; i < element.len && got < hdr_bytes; i++)
			hdr[got++] = element.at[i];
		if (i < element.len) {
			size_t done = got - hdr_bytes, left = element.len - i;

			if (done < room)
				memcpy(frame + done, element.at + i, RTE_MIN(left, room - done));
			got += left;
		}
		if (!(element.flags & VLEASE_DESC_NEXT))
			return got < hdr_bytes ? -2 : (long)(got - hdr_bytes);
	}
}

long
software_device_take(struct software_device *dev, void *frame, size_t room)
{
	const struct vlease_net_hash_hdr want = { .hdr = dev->header };
	uint8_t hdr[VLEASE_NET_HASH_HDR_SIZE];
	uint16_t index = dev->avail_cons;
	int id = software_device_pop(dev);
	long len;

	if (id < 0)
		return -1;
	len = gather(dev, dev->event == NULL ? id : index, hdr, frame, room);
	if (len < 0 || memcmp(hdr, &want, hdr_size(dev)) != 0 ||
	    dev->n_held == SOFTWARE_DEVICE_HOLDS)
		return -2;
	dev->held[dev->n_held++] = dev->popped;
	return len;
}

void
software_device_complete(struct software_device *dev, unsigned int n)
{
	struct software_buffer buffer;
	uint16_t batch = 0;

	for (; n > 0 && dev->n_held > 0; n--) {
		buffer = pick(dev);
		batch += places_of(dev, &buffer);
		if (n > 1 && dev->n_held > 0 && left_out(dev))
			continue;
		write_used(dev, buffer.id, 0, batch);
		batch = 0;
	}
	software_device_show(dev, 0);
}

/* ---- Benchmarks: no more than any device has to do ---- */

/** Write a used descriptor and its flags. */
static void
use_at_once(struct software_device *dev, uint16_t id, uint32_t len, uint16_t places)
{
	uint16_t flags = vlease_packed_used_flags(dev->used_idx, dev->size);

	vlease_packed_show(&dev->packed_desc[dev->used_idx & dev->mask],
			   vlease_packed_word(len, id, flags | VLEASE_DESC_WRITE));
	dev->used_idx += places;
}

static unsigned int
fill_packed(struct software_device *dev, unsigned int n, uint32_t len)
{
	const struct vlease_packed_desc *desc;
	struct vlease_net_hdr *hdr;
	unsigned int i;

	for (i = 0; i < n && packed_is_available(dev, dev->avail_cons); i++) {
		desc = &dev->packed_desc[dev->avail_cons++ & dev->mask];
		hdr = view(dev, desc->addr);
		*hdr = (struct vlease_net_hdr){ .num_buffers = RTE_LE16(1) };
		use_at_once(dev, rte_le_to_cpu_16(desc->id), VLEASE_NET_HDR_SIZE + len, 1);
	}
	return i;
}

unsigned int
software_device_fill(struct software_device *dev, unsigned int n, uint32_t len)
{
	struct vlease_net_hdr *hdr;
	unsigned int i;

	if (dev->event != NULL)
		return fill_packed(dev, n, len);
	n = RTE_MIN(n, (unsigned int)(uint16_t)(avail_idx(dev) - dev->avail_cons));
	for (i = 0; i < n; i++) {
		uint16_t id = rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);

		hdr = view(dev, dev->desc[id].addr);
		*hdr = (struct vlease_net_hdr){ .num_buffers = RTE_LE16(1) };
		write_used(dev, id, VLEASE_NET_HDR_SIZE + len, 1);
	}
	software_device_show(dev, 0);
	return n;
}

static unsigned int
drain_packed(struct software_device *dev, unsigned int n)
{
	const struct vlease_packed_desc *last;
	uint16_t count;
	unsigned int i;

	for (i = 0; i < n && (count = packed_count(dev, dev->avail_cons)) > 0; i++) {
		dev->avail_cons += count;
		last = &dev->packed_desc[(dev->avail_cons - 1) & dev->mask];
		use_at_once(dev, rte_le_to_cpu_16(last->id), 0, count);
	}
	return i;
}

unsigned int
software_device_drain(struct software_device *dev, unsigned int n)
{
	unsigned int i;

	if (dev->event != NULL)
		return drain_packed(dev, n);
	n = RTE_MIN(n, (unsigned int)(uint16_t)(avail_idx(dev) - dev->avail_cons));
	for (i = 0; i < n; i++) {
		uint16_t id = rte_le_to_cpu_16(dev->avail->ring[dev->avail_cons++ & dev->mask]);

		write_used(dev, id, 0, 1);
	}
	software_device_show(dev, 0);
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <errno.h>
#include <string.h>

#include "virtio_lease_rxtx.h"

size_t
vlease_txq_bytes(uint16_t size)
{
	return sizeof(struct vlease_txq) +
	       RTE_ALIGN_CEIL(size * (sizeof(uintptr_t) + 2 * sizeof(uint16_t)),
			      RTE_CACHE_LINE_SIZE);
}

void
vlease_txq_reset(struct vlease_txq *q)
{
	struct vlease_packed_event *driver = RTE_PTR_ADD(q->packed_desc,
							 vlease_packed_driver_offset(q->size));
	unsigned int i;

	memset(q->desc, 0, vlease_queue_ring_bytes(q->size, q->packed));
	if (q->packed)
		driver->flags = RTE_LE16(VLEASE_PACKED_EVENT_DISABLE);
	else
		q->avail->flags = RTE_LE16(VLEASE_AVAIL_NO_INTERRUPT);
	for (i = 0; i < q->size; i++) {
		q->free_ids[i] = i;
		q->slots[i] = VLEASE_SLOT_IDLE;
	}
	q->pool = NULL;
	q->free_head = 0;
	q->free_tail = q->size;
	q->avail_idx = 0;
	q->used_cons = 0;
	q->rung = 0;
	q->broken = VLEASE_INTACT;
}

int
vlease_txq_init(struct vlease_txq *q, const struct vlease_queue_config *c)
{
	if (!rte_is_power_of_2(c->size) || c->size > VLEASE_MAX_QUEUE_SIZE ||
	    c->free_thresh > c->size || c->vq_index >= VLEASE_MAX_VQS ||
	    (uintptr_t)c->ring % RTE_CACHE_LINE_SIZE != 0)
		return -EINVAL;

	q->free_ids = (uint16_t *)&q->slots[c->size];
	if (vlease_is_packed(c)) {
		q->packed_desc = c->ring;
		q->next_ids = &q->free_ids[c->size];
		q->device_event = RTE_PTR_ADD(c->ring, vlease_packed_device_offset(c->size));
		q->header_iova = c->ring_iova + vlease_packed_header_offset(c->size);
	} else {
		q->desc = c->ring;
		q->avail = RTE_PTR_ADD(c->ring, vlease_avail_offset(c->size));
		q->used = RTE_PTR_ADD(c->ring, vlease_used_offset(c->size));
		q->header_iova = c->ring_iova + vlease_header_offset(c->size);
	}
	q->packed = vlease_is_packed(c);
	q->in_order = vlease_is_in_order(c);
	q->doorbell_slot = vlease_doorbell_slot(c->port_id, c->vq_index);
	q->size = c->size;
	q->mask = c->size - 1;
	q->free_thresh = vlease_free_thresh(c);
	q->vq_index = c->vq_index;
	vlease_txq_reset(q);
	return 0;
}

unsigned int
vlease_txq_complete(struct vlease_txq *q)
{
	if (q->broken)
		return 0;
	return q->packed ? vlease_packed_complete(q) : vlease_split_complete(q);
}

vlease_burst_t
vlease_tx_burst(uint64_t features, uint64_t offloads __rte_unused)
{
	static const vlease_burst_t bursts[2][2] = {
		{ vlease_xmit_pkts, vlease_xmit_in_order_pkts },
		{ vlease_xmit_packed_pkts, vlease_xmit_packed_in_order_pkts },
	};

	return bursts[(features & VIRTIO_F_RING_PACKED) != 0]
		     [(features & VIRTIO_F_IN_ORDER) != 0];
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <inttypes.h>
#include <stdio.h>

#include "sequence.h"

#define REMEMBERED 64	/* bits of sequence_flow.came */

static void
advance(struct sequence_flow *flow, struct sequence_results *results, uint64_t taken_over_at,
	uint64_t number)
{
	uint64_t missing = number - flow->next;

	if (flow->sent_at < taken_over_at)
		results->gone += missing;
	else
		results->lost += missing;
	flow->came = missing < REMEMBERED - 1 ? flow->came << (missing + 1) | 1 : 1;
	flow->next = number + 1;
}

static void
fall_behind(struct sequence_flow *flow, struct sequence_results *results, uint64_t number)
{
	uint64_t behind = flow->next - 1 - number;

	if (behind < REMEMBERED && (flow->came >> behind & 1) != 0) {
		results->duplicated++;
		return;
	}
	results->reordered++;
	if (behind < REMEMBERED)
		flow->came |= UINT64_C(1) << behind;
}

void
sequence_judge(struct sequence_table *table, struct sequence_results *results, uint16_t queue,
	       const struct sequence_mark *mark)
{
	struct sequence_flow *flow;

	if (mark->magic != SEQUENCE_MAGIC || mark->port >= SEQUENCE_PORTS ||
	    mark->queue >= SEQUENCE_PAIRS || mark->flow >= SEQUENCE_FLOWS || mark->sender == 0) {
		results->foreign++;
		return;
	}
	flow = &table->flows[mark->port][mark->queue][mark->flow];
	if (mark->sender < flow->sender) {
		results->reordered++;
		return;
	}
	if (mark->sender > flow->sender)
		*flow = (struct sequence_flow){ .sender = mark->sender, .next = mark->number,
						.came = UINT64_MAX };
	if (mark->number >= flow->next)
		advance(flow, results, table->taken_over_at, mark->number);
	else
		fall_behind(flow, results, mark->number);
	flow->queue = queue;
	flow->sent_at = mark->sent_at;
}

void
sequence_print_flows(const struct sequence_table *table)
{
	const unsigned int all = SEQUENCE_PORTS * SEQUENCE_PAIRS * SEQUENCE_FLOWS;
	const char *comma = "";
	unsigned int i;

	for (i = 0; i < all; i++) {
		unsigned int number = i % SEQUENCE_FLOWS;
		unsigned int queue = i / SEQUENCE_FLOWS % SEQUENCE_PAIRS;
		unsigned int port = i / SEQUENCE_FLOWS / SEQUENCE_PAIRS;
		const struct sequence_flow *flow = &table->flows[port][queue][number];

		if (flow->sender == 0)
			continue;
		printf("%s[%" PRIu32 ",%u,%u,%u,%u,%" PRIu64 "]", comma, flow->sender, port, queue,
		       number, flow->queue, flow->next);
		comma = ",";
	}
}

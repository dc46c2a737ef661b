/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sequence.h"

struct flow {
	uint64_t first;		/* number of the first packet that came */
	uint64_t next;		/* one above the highest number that came; 0: none did */
	uint64_t came;		/* bit n: whether number next - 1 - n did */
	uint16_t queue;		/* on which the latest came */
};

struct sender {
	uint32_t id;
	struct flow flows[SEQUENCE_PORTS][SEQUENCE_PAIRS][SEQUENCE_FLOWS];
	struct sequence_counts counts[SEQUENCE_PORTS][SEQUENCE_PAIRS];
};

static struct sender *senders[SEQUENCE_SENDERS];
static unsigned int nb_senders;

static struct sender *
find_sender(uint32_t id)
{
	struct sender *sender;
	unsigned int i;

	for (i = 0; i < nb_senders; i++)
		if (senders[i]->id == id)
			return senders[i];
	if (nb_senders == SEQUENCE_SENDERS)
		return NULL;
	sender = calloc(1, sizeof(*sender));
	if (sender == NULL)
		return NULL;
	sender->id = id;
	senders[nb_senders++] = sender;
	return sender;
}

static void
advance(struct flow *flow, struct sequence_counts *counts, uint64_t number)
{
	uint64_t missing = number - flow->next;

	counts->gaps += missing;
	flow->came = missing < 63 ? flow->came << (missing + 1) | 1 : 1;
	flow->next = number + 1;
}

/* A gap that is filled late is none. */
static void
fall_behind(struct flow *flow, struct sequence_counts *counts, uint64_t number)
{
	uint64_t behind = flow->next - 1 - number;

	if (number < flow->first || behind >= 64) {
		counts->reorderings++;
	} else if ((flow->came >> behind & 1) != 0) {
		counts->duplicates++;
	} else {
		flow->came |= UINT64_C(1) << behind;
		counts->gaps--;
		counts->reorderings++;
	}
}

int
sequence_judge(uint16_t port, uint16_t queue, const struct sequence_mark *mark)
{
	struct sequence_counts *counts;
	struct sender *sender;
	struct flow *flow;

	if (mark->magic != SEQUENCE_MAGIC || mark->port >= SEQUENCE_PORTS ||
	    mark->queue >= SEQUENCE_PAIRS || mark->flow >= SEQUENCE_FLOWS)
		return -1;
	sender = find_sender(mark->sender);
	if (sender == NULL)
		return -1;
	flow = &sender->flows[mark->port][mark->queue][mark->flow];
	counts = &sender->counts[port][queue];
	counts->packets++;
	if (flow->next == 0) {
		counts->flows++;
		flow->first = mark->number;
		flow->next = mark->number;
	}
	if (mark->number >= flow->next)
		advance(flow, counts, mark->number);
	else
		fall_behind(flow, counts, mark->number);
	flow->queue = queue;
	return 0;
}

void
sequence_print_counts(uint16_t port, uint16_t queue)
{
	const char *comma = "";
	unsigned int i;

	for (i = 0; i < nb_senders; i++) {
		const struct sequence_counts *counts = &senders[i]->counts[port][queue];

		if (counts->packets == 0)
			continue;
		printf("%s\"%" PRIu32 "\":{\"packets\":%" PRIu64 ",\"flows\":%" PRIu64
		       ",\"gaps\":%" PRIu64 ",\"duplicates\":%" PRIu64
		       ",\"reorderings\":%" PRIu64 "}", comma, senders[i]->id, counts->packets,
		       counts->flows, counts->gaps, counts->duplicates, counts->reorderings);
		comma = ",";
	}
}

void
sequence_print_flows(void)
{
	const unsigned int per_sender = SEQUENCE_PORTS * SEQUENCE_PAIRS * SEQUENCE_FLOWS;
	const char *comma = "";
	unsigned int i, j;

	for (i = 0; i < nb_senders; i++) {
		for (j = 0; j < per_sender; j++) {
			unsigned int number = j % SEQUENCE_FLOWS;
			unsigned int queue = j / SEQUENCE_FLOWS % SEQUENCE_PAIRS;
			unsigned int port = j / SEQUENCE_FLOWS / SEQUENCE_PAIRS;
			const struct flow *flow = &senders[i]->flows[port][queue][number];

			if (flow->next == 0)
				continue;
			printf("%s[%" PRIu32 ",%u,%u,%u,%u,%" PRIu64 "]", comma, senders[i]->id,
			       port, queue, number, flow->queue, flow->next);
			comma = ",";
		}
	}
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include <stdint.h>

#define SEQUENCE_PORTS 2
#define SEQUENCE_PAIRS 16
#define SEQUENCE_FLOWS 64
#define SEQUENCE_SENDERS 64

#define SEQUENCE_MAGIC 0x736571u

/** What a packet says of itself, behind its UDP header. */
struct sequence_mark {
	uint32_t magic;
	uint32_t sender;	/**< process id: a successor is another sender */
	uint16_t port;
	uint16_t queue;
	uint32_t flow;
	uint64_t number;	/**< from 0, without a gap, for each flow */
} __attribute__((packed));

/** What came of one sender on one receive queue. */
struct sequence_counts {
	uint64_t packets;
	uint64_t flows;		/**< that were first seen on this queue */
	uint64_t gaps;		/**< numbers that are missing */
	uint64_t duplicates;
	uint64_t reorderings;	/**< packets behind one of a higher number */
};

/**
 * Judge a packet by those that came before it in its flow, whose state is this process's own: its
 * first packet sets the start.
 *
 * @return
 *   0, or -1: no mark that a sender of this program writes, or more senders than fit.
 */
int sequence_judge(uint16_t port, uint16_t queue, const struct sequence_mark *mark);

/** Print `"SENDER":{COUNTS},...` of one receive queue. */
void sequence_print_counts(uint16_t port, uint16_t queue);

/** Print `[SENDER,PORT,QUEUE,FLOW,RECEIVE-QUEUE,NEXT-NUMBER],...` of all flows seen. */
void sequence_print_flows(void);

#endif /* SEQUENCE_H */

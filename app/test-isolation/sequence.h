/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include <stdint.h>

#define SEQUENCE_PORTS 2
#define SEQUENCE_PAIRS 16
#define SEQUENCE_FLOWS 64

#define SEQUENCE_MAGIC 0x736571u

/** What a packet says of itself, behind its UDP header. */
struct sequence_mark {
	uint32_t magic;
	uint32_t sender;	/**< owners of a queue, one after the other, have rising numbers */
	uint16_t port;
	uint16_t queue;
	uint32_t flow;
	uint64_t number;	/**< from 0, without a gap, for each flow */
	uint64_t sent_at;	/**< in TSC cycles */
} __attribute__((packed));

/**
 * What became of a process so far. It is in a file, where it outlives the process; others read it
 * as an array of numbers, in this order. Times are CLOCK_MONOTONIC in ns, 0 for not yet.
 */
struct sequence_results {
	uint64_t ready;		/**< EAL is up */
	uint64_t died_at;	/**< the planned death is due */
	uint64_t first_packet_at;
	uint64_t receiving;	/**< queues that have received something */
	uint64_t sending;	/**< queues that have sent something */
	uint64_t sent;
	uint64_t received;
	uint64_t lost;		/**< numbers that are missing, of flows to this process */
	uint64_t duplicated;
	uint64_t reordered;	/**< packets behind one of a higher number */
	uint64_t foreign;	/**< packets without such a mark */
	uint64_t gone;		/**< missing, but sent when nobody polled the queue */
	uint64_t no_mbuf;
};

struct sequence_flow {
	uint32_t sender;	/**< 0: nothing has come */
	uint16_t queue;		/**< on which the latest came */
	uint64_t sent_at;	/**< of that */
	uint64_t next;		/**< one above the highest number that came */
	uint64_t came;		/**< bit n: whether number next - 1 - n did */
};

/** What came to the queues of one owner and its predecessors. */
struct sequence_table {
	uint64_t taken_over_at;	/**< by the present owner, in TSC cycles */
	struct sequence_flow flows[SEQUENCE_PORTS][SEQUENCE_PAIRS][SEQUENCE_FLOWS];
};

/**
 * Judge a packet by those that came before it in its flow. The first of a sender sets the start.
 * Where the packet before a gap was sent earlier than the queue was taken over, the gap is no loss:
 * the owner before may have received what is missing, or the wire have dropped it.
 */
void sequence_judge(struct sequence_table *table, struct sequence_results *results,
		    uint16_t queue, const struct sequence_mark *mark);

/** Print `[SENDER,PORT,QUEUE,FLOW,RECEIVE-QUEUE,NEXT-NUMBER],...` of all flows seen. */
void sequence_print_flows(const struct sequence_table *table);

#endif /* SEQUENCE_H */

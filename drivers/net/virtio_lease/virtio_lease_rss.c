/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * On which queue a frame arrives: as the device likes, or by a hash (VIRTIO 1.2, 5.1.6.5.6 and
 * 5.1.6.5.7).
 */
#include <errno.h>
#include <string.h>

#include "virtio_lease.h"

/* What one kind of hash is to ethdev: all packets of which the device hashes just these fields. */
static const struct {
	uint32_t type;
	uint64_t rss_hf;
} hashes[] = {
	{
		VIRTIO_NET_HASH_TYPE_IPv4,
		RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER
	},
	{ VIRTIO_NET_HASH_TYPE_TCPv4, RTE_ETH_RSS_NONFRAG_IPV4_TCP },
	{ VIRTIO_NET_HASH_TYPE_UDPv4, RTE_ETH_RSS_NONFRAG_IPV4_UDP },
	{
		VIRTIO_NET_HASH_TYPE_IPv6,
		RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER
	},
	{ VIRTIO_NET_HASH_TYPE_TCPv6, RTE_ETH_RSS_NONFRAG_IPV6_TCP },
	{ VIRTIO_NET_HASH_TYPE_UDPv6, RTE_ETH_RSS_NONFRAG_IPV6_UDP },
	{ VIRTIO_NET_HASH_TYPE_IP_EX, RTE_ETH_RSS_IPV6_EX },
	{ VIRTIO_NET_HASH_TYPE_TCP_EX, RTE_ETH_RSS_IPV6_TCP_EX },
	{ VIRTIO_NET_HASH_TYPE_UDP_EX, RTE_ETH_RSS_IPV6_UDP_EX },
};

/* The key that the algorithm's description verifies implementations with. */
static const uint8_t default_key[VLEASE_RSS_KEY_SIZE] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint64_t
types_to_rss_hf(uint32_t types)
{
	uint64_t rss_hf = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(hashes); i++)
		if ((types & hashes[i].type) != 0)
			rss_hf |= hashes[i].rss_hf;
	return rss_hf;
}

static uint32_t
rss_hf_to_types(uint64_t rss_hf)
{
	uint32_t types = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(hashes); i++)
		if ((rss_hf & hashes[i].rss_hf) != 0)
			types |= hashes[i].type;
	return types;
}

int
vlease_rss_probe(struct vlease_adapter *adapter, const struct virtio_net_config *config)
{
	struct vlease_rss *rss = &adapter->rss;
	uint16_t table = rte_le_to_cpu_16(config->rss_max_indirection_table_length);

	/* 5.1.4.1: at least 40; 5.1.6.5.7.1: a power of two, so that a mask can be its length. */
	if (config->rss_max_key_size < VLEASE_RSS_KEY_SIZE || table == 0) {
		VLEASE_LOG(WARNING, "%s: no RSS: keys of %u bytes, tables of %u entries",
			   adapter->address, config->rss_max_key_size, table);
		return -ENOTSUP;
	}
	table = RTE_MIN(table, VLEASE_MAX_RETA_SIZE);
	rss->reta_size = RTE_BIT32(rte_fls_u32(table) - 1);
	rss->supported_types = rte_le_to_cpu_32(config->supported_hash_types) &
			       rss_hf_to_types(UINT64_MAX);
	memcpy(rss->key, default_key, sizeof(rss->key));
	return 0;
}

void
vlease_rss_info(const struct vlease_adapter *adapter, struct rte_eth_dev_info *info)
{
	if ((adapter->usable & VIRTIO_NET_F_RSS) == 0)
		return;
	info->flow_type_rss_offloads = types_to_rss_hf(adapter->rss.supported_types);
	info->hash_key_size = VLEASE_RSS_KEY_SIZE;
	info->reta_size = adapter->rss.reta_size;
}

/* The queues in turn, unless the application's own table can stay. */
static void
spread(struct vlease_rss *rss, uint16_t nb_queues)
{
	uint16_t i;

	if (rss->nb_queues == nb_queues)
		return;
	for (i = 0; i < rss->reta_size; i++)
		rss->reta[i] = i % nb_queues;
	rss->nb_queues = nb_queues;
}

static int
set_key(struct vlease_adapter *adapter, const uint8_t *key, uint8_t length)
{
	if (key == NULL)
		return 0;
	if (length != VLEASE_RSS_KEY_SIZE) {
		VLEASE_LOG(ERR, "%s: RSS key of %u bytes: need %u", adapter->address, length,
			   VLEASE_RSS_KEY_SIZE);
		return -EINVAL;
	}
	memcpy(adapter->rss.key, key, length);
	return 0;
}

int
vlease_rss_configure(struct rte_eth_dev *dev)
{
	const struct rte_eth_rss_conf *conf = &dev->data->dev_conf.rx_adv_conf.rss_conf;
	struct vlease_adapter *adapter = vlease_adapter(dev);
	const bool asked = dev->data->dev_conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS;

	/* ethdev has compared rss_hf to what we have: without RSS it is 0. */
	adapter->rss.types = asked ? rss_hf_to_types(conf->rss_hf) : 0;
	if (dev->data->nb_rx_queues > 0)
		spread(&adapter->rss, dev->data->nb_rx_queues);
	return adapter->rss.types != 0 ? set_key(adapter, conf->rss_key, conf->rss_key_len) : 0;
}

static int
send_pairs(struct vlease_process *process, uint16_t pairs)
{
	rte_le16_t count = rte_cpu_to_le_16(pairs);

	return vlease_cvq_command(&process->cvq, VIRTIO_NET_CTRL_MQ,
				  VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &count, sizeof(count));
}

/* struct virtio_net_rss_config of 5.1.6.5.7: its table is of the length that the mask says. */
static int
send_rss(struct vlease_process *process, uint32_t types, uint16_t pairs)
{
	struct {
		rte_le32_t types;
		rte_le16_t mask;
		rte_le16_t unclassified;
		rte_le16_t rest[VLEASE_MAX_RETA_SIZE + 1];
		uint8_t key[1 + VLEASE_RSS_KEY_SIZE];
	} config;
	const struct vlease_rss *rss = &process->adapter->rss;
	uint8_t *key = (uint8_t *)&config.rest[rss->reta_size + 1];
	uint16_t i;

	config.types = rte_cpu_to_le_32(types);
	config.mask = rte_cpu_to_le_16(rss->reta_size - 1);
	config.unclassified = 0;
	for (i = 0; i < rss->reta_size; i++)
		config.rest[i] = rte_cpu_to_le_16(rss->reta[i]);
	config.rest[i] = rte_cpu_to_le_16(pairs);
	key[0] = VLEASE_RSS_KEY_SIZE;
	memcpy(&key[1], rss->key, VLEASE_RSS_KEY_SIZE);
	return vlease_cvq_command(&process->cvq, VIRTIO_NET_CTRL_MQ,
				  VIRTIO_NET_CTRL_MQ_RSS_CONFIG, &config,
				  (size_t)(&key[1 + VLEASE_RSS_KEY_SIZE] - (uint8_t *)&config));
}

/*
 * Left to itself a device sends to all pairs in use: it has a receive queue for each transmit
 * queue. If the application has fewer, the hash keeps frames away from the others.
 */
int
vlease_rss_apply(struct rte_eth_dev *dev)
{
	struct vlease_process *process = vlease_process(dev);
	const struct vlease_adapter *adapter = process->adapter;
	const uint16_t nb_rx = dev->data->nb_rx_queues, nb_tx = dev->data->nb_tx_queues;
	const uint16_t pairs = RTE_MAX(nb_rx, nb_tx);
	uint32_t types = adapter->rss.types;
	int ret;

	if ((adapter->features & (VIRTIO_NET_F_RSS | VIRTIO_NET_F_MQ)) == 0)
		return 0;
	if (types == 0 && nb_rx < nb_tx && nb_rx > 0) {
		types = adapter->rss.supported_types;
		if ((adapter->features & VIRTIO_NET_F_RSS) == 0)
			VLEASE_LOG(WARNING, "%s: %u receive and %u transmit queues: without RSS "
				   "the device may send frames to receive queues that there are "
				   "none of", adapter->address, nb_rx, nb_tx);
	}
	if ((adapter->features & VIRTIO_NET_F_RSS) != 0 && types != 0)
		ret = send_rss(process, types, pairs);
	else
		ret = send_pairs(process, pairs);
	return ret == -ENETDOWN ? 0 : ret;
}

int
vlease_rss_hash_update(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
	struct vlease_adapter *adapter = vlease_adapter(dev);
	const struct vlease_rss before = adapter->rss;
	int ret;

	if ((adapter->features & VIRTIO_NET_F_RSS) == 0)
		return -ENOTSUP;
	if ((conf->rss_hf & ~types_to_rss_hf(before.supported_types)) != 0)
		return -EINVAL;
	ret = set_key(adapter, conf->rss_key, conf->rss_key_len);
	if (ret == 0) {
		adapter->rss.types = rss_hf_to_types(conf->rss_hf);
		ret = vlease_rss_apply(dev);
	}
	if (ret != 0)
		adapter->rss = before;
	return ret;
}

int
vlease_rss_hash_conf_get(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);

	if ((adapter->features & VIRTIO_NET_F_RSS) == 0)
		return -ENOTSUP;
	if (conf->rss_key != NULL && conf->rss_key_len >= VLEASE_RSS_KEY_SIZE)
		memcpy(conf->rss_key, adapter->rss.key, VLEASE_RSS_KEY_SIZE);
	conf->rss_key_len = VLEASE_RSS_KEY_SIZE;
	conf->rss_hf = types_to_rss_hf(adapter->rss.types);
	return 0;
}

static int
check_reta(const struct vlease_adapter *adapter, uint16_t size)
{
	if ((adapter->features & VIRTIO_NET_F_RSS) == 0)
		return -ENOTSUP;
	if (size == adapter->rss.reta_size)
		return 0;
	VLEASE_LOG(ERR, "%s: RSS table of %u entries: it has %u", adapter->address, size,
		   adapter->rss.reta_size);
	return -EINVAL;
}

int
vlease_reta_update(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *groups, uint16_t size)
{
	struct vlease_adapter *adapter = vlease_adapter(dev);
	const struct vlease_rss before = adapter->rss;
	const struct rte_eth_rss_reta_entry64 *group;
	uint16_t i;
	int ret;

	ret = check_reta(adapter, size);
	if (ret != 0)
		return ret;
	for (i = 0; i < size; i++) {
		group = &groups[i / RTE_ETH_RETA_GROUP_SIZE];
		if ((group->mask & RTE_BIT64(i % RTE_ETH_RETA_GROUP_SIZE)) != 0)
			adapter->rss.reta[i] = group->reta[i % RTE_ETH_RETA_GROUP_SIZE];
	}
	ret = vlease_rss_apply(dev);
	if (ret != 0)
		adapter->rss = before;
	return ret;
}

int
vlease_reta_query(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *groups, uint16_t size)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	struct rte_eth_rss_reta_entry64 *group;
	uint16_t i;
	int ret;

	ret = check_reta(adapter, size);
	for (i = 0; ret == 0 && i < size; i++) {
		group = &groups[i / RTE_ETH_RETA_GROUP_SIZE];
		if ((group->mask & RTE_BIT64(i % RTE_ETH_RETA_GROUP_SIZE)) != 0)
			group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = adapter->rss.reta[i];
	}
	return ret;
}

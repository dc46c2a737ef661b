/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * Which frames the device takes: addresses, modes, VLANs, and how long they may be. A device that
 * is stopped cannot be told (VIRTIO 1.2, 3.1.1), and forgets at its reset. What is set meanwhile
 * is replayed by ethdev after the start (addresses of the port, promiscuous and all-multicast
 * mode) or by vlease_rxmode_replay().
 */
#include <errno.h>
#include <string.h>

#include "virtio_lease.h"

static int
command(struct rte_eth_dev *dev, uint64_t feature, uint8_t class, uint8_t code, const void *data,
	size_t length)
{
	struct vlease_process *process = vlease_process(dev);
	int ret;

	if ((process->adapter->features & feature) == 0)
		return -ENOTSUP;
	ret = vlease_cvq_command(&process->cvq, class, code, data, length);
	return ret == -ENETDOWN ? 0 : ret;
}

/* ---- Promiscuous and all-multicast mode, VIRTIO 1.2, 5.1.6.5.1 ---- */

static int
set_mode(struct rte_eth_dev *dev, uint8_t code, uint8_t on)
{
	return command(dev, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_CTRL_RX, code, &on, sizeof(on));
}

int
vlease_promiscuous_enable(struct rte_eth_dev *dev)
{
	return set_mode(dev, VIRTIO_NET_CTRL_RX_PROMISC, 1);
}

int
vlease_promiscuous_disable(struct rte_eth_dev *dev)
{
	return set_mode(dev, VIRTIO_NET_CTRL_RX_PROMISC, 0);
}

int
vlease_allmulticast_enable(struct rte_eth_dev *dev)
{
	return set_mode(dev, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
}

int
vlease_allmulticast_disable(struct rte_eth_dev *dev)
{
	return set_mode(dev, VIRTIO_NET_CTRL_RX_ALLMULTI, 0);
}

/* ---- Addresses, 5.1.6.5.2 ---- */

_Static_assert(2 * sizeof(rte_le32_t) +
	       (VLEASE_MAX_MACS + VLEASE_MAX_MULTICAST) * RTE_ETHER_ADDR_LEN <=
	       VLEASE_CVQ_DATA_SIZE, "full tables fit a command");

static uint8_t *
put_address(uint8_t *at, const struct rte_ether_addr *address)
{
	memcpy(at, address, RTE_ETHER_ADDR_LEN);
	return at + RTE_ETHER_ADDR_LEN;
}

/*
 * Append a table, of all addresses of one kind; returns its end. Two of them stand behind each
 * other, the second at any alignment: of unicast addresses, of multicast ones.
 */
static uint8_t *
put_table(uint8_t *table, const struct vlease_adapter *adapter, bool multicast)
{
	uint8_t *first = table + sizeof(rte_le32_t), *end = first;
	rte_le32_t entries;
	unsigned int i;

	/* The first is the device's own, which has a command of its own. */
	for (i = 1; i < VLEASE_MAX_MACS; i++)
		if (!rte_is_zero_ether_addr(&adapter->macs[i]) &&
		    rte_is_multicast_ether_addr(&adapter->macs[i]) == multicast)
			end = put_address(end, &adapter->macs[i]);
	for (i = 0; multicast && i < adapter->nb_multicast; i++)
		end = put_address(end, &adapter->multicast[i]);
	entries = rte_cpu_to_le_32((uint32_t)(end - first) / RTE_ETHER_ADDR_LEN);
	memcpy(table, &entries, sizeof(entries));
	return end;
}

static int
send_tables(struct rte_eth_dev *dev)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	uint8_t data[VLEASE_CVQ_DATA_SIZE], *end;

	end = put_table(data, adapter, false);
	end = put_table(end, adapter, true);
	return command(dev, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_CTRL_MAC,
		       VIRTIO_NET_CTRL_MAC_TABLE_SET, data, (size_t)(end - data));
}

/* ethdev keeps the addresses where we told it to: in adapter->macs. */
int
vlease_mac_addr_add(struct rte_eth_dev *dev, struct rte_ether_addr *address, uint32_t index,
		    uint32_t pool __rte_unused)
{
	struct rte_ether_addr *place = &vlease_adapter(dev)->macs[index];
	struct rte_ether_addr before;
	int ret;

	rte_ether_addr_copy(place, &before);
	memmove(place, address, sizeof(*place)); /* at a start it is the same */
	ret = send_tables(dev);
	if (ret != 0)
		rte_ether_addr_copy(&before, place);
	return ret;
}

void
vlease_mac_addr_remove(struct rte_eth_dev *dev, uint32_t index)
{
	memset(&vlease_adapter(dev)->macs[index], 0, RTE_ETHER_ADDR_LEN);
	send_tables(dev);
}

int
vlease_mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *address)
{
	/* ethdev sets it at every start: a device that cannot change it has it already. */
	if (rte_is_same_ether_addr(address, &vlease_adapter(dev)->device_mac) &&
	    (vlease_adapter(dev)->features & VIRTIO_NET_F_CTRL_MAC_ADDR) == 0)
		return 0;
	return command(dev, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_CTRL_MAC,
		       VIRTIO_NET_CTRL_MAC_ADDR_SET, address, sizeof(*address));
}

int
vlease_set_mc_addr_list(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t count)
{
	struct vlease_adapter *adapter = vlease_adapter(dev);
	uint32_t i;

	if (count > VLEASE_MAX_MULTICAST) {
		VLEASE_LOG(ERR, "%s: %u multicast addresses: at most %u", adapter->address, count,
			   VLEASE_MAX_MULTICAST);
		return -ENOSPC;
	}
	for (i = 0; i < count; i++)
		if (!rte_is_multicast_ether_addr(&list[i]))
			return -EINVAL;
	if ((adapter->features & VIRTIO_NET_F_CTRL_RX) == 0)
		return -ENOTSUP;
	if (count > 0)
		memcpy(adapter->multicast, list, count * sizeof(list[0]));
	adapter->nb_multicast = count;
	return send_tables(dev);
}

/* ---- VLANs, 5.1.6.5.3 ---- */

static int
let_vlan_pass(struct rte_eth_dev *dev, uint16_t id, bool pass)
{
	rte_le16_t data = rte_cpu_to_le_16(id);

	return command(dev, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN,
		       pass ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL, &data,
		       sizeof(data));
}

int
vlease_vlan_filter_set(struct rte_eth_dev *dev, uint16_t id, int on)
{
	return let_vlan_pass(dev, id, on != 0);
}

static bool
is_wanted(const struct rte_eth_dev *dev, uint16_t id)
{
	const struct rte_vlan_filter_conf *filter = &dev->data->vlan_filter_conf;

	if ((dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) == 0)
		return true;
	return (filter->ids[id / 64] & RTE_BIT64(id % 64)) != 0;
}

/*
 * With the feature the device filters from the start, and there is no command that stops it: to
 * let everything pass is to name every id.
 */
static int
let_wanted_vlans_pass(struct rte_eth_dev *dev, bool anew)
{
	uint16_t id;
	int ret = 0;

	for (id = 0; id <= RTE_ETHER_MAX_VLAN_ID && ret == 0; id++)
		if (!anew || is_wanted(dev, id))
			ret = let_vlan_pass(dev, id, is_wanted(dev, id));
	return ret;
}

/* Queues and what they are made of anew, for those that are set up already. */
static void
strip_vlans(struct rte_eth_dev *dev)
{
	const uint64_t strip = dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	uint64_t *offloads;
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		if (dev->data->rx_queues[i] == NULL)
			continue;
		offloads = &vlease_process(dev)->queues[2 * i].offloads;
		*offloads = (*offloads & ~RTE_ETH_RX_OFFLOAD_VLAN_STRIP) | strip;
		vlease_rxq_strip_vlan(dev->data->rx_queues[i], strip != 0);
	}
}

int
vlease_vlan_offload_set(struct rte_eth_dev *dev, int changed)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	int ret = 0;

	if ((changed & RTE_ETH_VLAN_FILTER_MASK) != 0) {
		if ((adapter->features & VIRTIO_NET_F_CTRL_VLAN) != 0)
			ret = let_wanted_vlans_pass(dev, false);
		else if (dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) {
			VLEASE_LOG(ERR, "%s: VLAN filter: has to be among the offloads when the "
				   "port is configured", adapter->address);
			ret = -ENOTSUP;
		}
	}
	if (ret == 0 && (changed & RTE_ETH_VLAN_STRIP_MASK) != 0) {
		strip_vlans(dev);
		vlease_set_bursts(dev);
		vlease_lessor_notify_bursts(vlease_process(dev));
	}
	return ret;
}

/* ---- Length of frames ---- */

/* Without more buffers for a frame than one, one has to hold it. */
int
vlease_check_rx_buffers(const struct rte_eth_dev *dev, uint16_t queue, uint16_t mtu)
{
	const uint32_t frame = mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	const struct vlease_rxq *rxq = dev->data->rx_queues[queue];
	uint32_t room;

	if (rxq == NULL || dev->data->scattered_rx)
		return 0;
	room = rxq->buf_len - rxq->hdr_size;
	if (frame <= room)
		return 0;
	VLEASE_LOG(ERR, "%s: rxq%u: frames of %u bytes (MTU %u), buffers of %u: need larger ones%s",
		   adapter->address, queue, frame, mtu, room,
		   (adapter->features & VIRTIO_NET_F_MRG_RXBUF) != 0 ? ", or scattered Rx" : "");
	return -EINVAL;
}

/* The device has no say in it (VIRTIO 1.2, 5.1.4.1); ethdev has checked the bounds. */
int
vlease_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	uint16_t i;
	int ret = 0;

	for (i = 0; i < dev->data->nb_rx_queues && ret == 0; i++)
		ret = vlease_check_rx_buffers(dev, i, mtu);
	return ret;
}

int
vlease_rxmode_replay(struct rte_eth_dev *dev)
{
	const struct vlease_adapter *adapter = vlease_adapter(dev);
	int ret = 0;

	if (adapter->nb_multicast > 0)
		ret = send_tables(dev);
	if (ret == 0 && (adapter->features & VIRTIO_NET_F_CTRL_VLAN) != 0)
		ret = let_wanted_vlans_pass(dev, true);
	return ret;
}

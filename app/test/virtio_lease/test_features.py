#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""The feature matrix lists what the tables of operations have, for each type of process."""

import configparser
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[3]
SOURCE = TOP / "drivers/net/virtio_lease/virtio_lease_ethdev.c"
FEATURES = TOP / "doc/guides/nics/features"
PRIMARY, SECONDARY = "virtio_lease", "virtio_lease_secondary"
TABLES = {PRIMARY: "vlease_primary_ops", SECONDARY: "vlease_secondary_ops"}

# Features that are an operation each, as DPDK's guide of features says.
OPERATIONS = {
    "Link status": "link_update",
    "Free Tx mbuf on demand": "tx_done_cleanup",
    "Rx interrupt": "rx_queue_intr_enable",
    "Queue start/stop": "rx_queue_start",
    "Burst mode info": "rx_burst_mode_get",
    "MTU update": "mtu_set",
    "Promiscuous mode": "promiscuous_enable",
    "Allmulticast mode": "allmulticast_enable",
    "Unicast MAC filter": "mac_addr_add",
    "Multicast MAC filter": "set_mc_addr_list",
    "RSS key update": "rss_hash_update",
    "RSS reta update": "reta_update",
    "VLAN filter": "vlan_filter_set",
    "Flow control": "flow_ctrl_get",
    "Packet type parsing": "dev_supported_ptypes_get",
    "Timesync": "timesync_enable",
    "Basic stats": "stats_get",
    "Extended stats": "xstats_get",
    "FW version": "fw_version_get",
    "EEPROM dump": "get_eeprom",
    "Module EEPROM dump": "get_module_eeprom",
    "Registers dump": "get_reg",
}


def operations(table):
    body = re.search(rf"\b{table} = {{(.*?)\n}};", SOURCE.read_text(), re.S)[1]
    return set(re.findall(r"^\t\.(\w+) =", body, re.M))


def listed(matrix):
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(FEATURES / f"{matrix}.ini")
    return set(parser["Features"])


wrong = 0
for matrix, table in TABLES.items():
    features, present = listed(matrix), operations(table)
    for feature, operation in OPERATIONS.items():
        if (feature in features) != (operation in present):
            wrong += 1
            print(f"{matrix}.ini {'has' if feature in features else 'lacks'} '{feature}', "
                  f"{table} {'has' if operation in present else 'lacks'} {operation}")
for feature in listed(SECONDARY) - listed(PRIMARY):
    wrong += 1
    print(f"'{feature}' is listed for secondaries, not for the primary")
sys.exit(wrong != 0)

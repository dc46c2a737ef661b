# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# The wire: two multi-queue taps, each redirecting what it receives to the other. They live in a
# network namespace without a name, so they go when the guest goes.

lay_wire() {
	local tap
	[[ -e /dev/net/tun ]] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
	for tap in tap0 tap1; do
		ip tuntap add "$tap" mode tap multi_queue vnet_hdr
		echo 1 >"/proc/sys/net/ipv6/conf/$tap/disable_ipv6"
		ip link set "$tap" txqueuelen 10000 mtu 9000 up
		tc qdisc add dev "$tap" ingress
	done
	redirect tap0 tap1
	redirect tap1 tap0
}

redirect() {
	tc filter add dev "$1" parent ffff: protocol all u32 match u32 0 0 \
		action mirred egress redirect dev "$2"
}

# tap_statistics: one line for each tap, seen from the wire: rx is what the guest sent.
tap_statistics() {
	local name rx_packets rx_drop tx_packets tx_drop qdisc
	while read -r name _ rx_packets _ rx_drop _ _ _ _ _ tx_packets _ tx_drop _; do
		[[ $name == tap* ]] || continue
		name=${name%:}
		qdisc=$(tc -s qdisc show dev "$name" | sed -n 's/.*(dropped \([0-9]*\),.*/\1/p' |
			{ sum=0; while read -r n; do sum=$((sum + n)); done; echo "$sum"; })
		echo "$name rx_packets=$rx_packets rx_dropped=$rx_drop" \
			"tx_packets=$tx_packets tx_dropped=$tx_drop qdisc_dropped=$qdisc"
	done </proc/net/dev
}

# The wire of the machine vhost-user: a stock testpmd that polls both of its ends. It takes commands
# from the file back-end.in, and says a line at once, so that it can be asked while it works.
back_end_sockets=$lab_dir/roots/bookworm/run/vhost

start_back_end() {
	local port devices=()
	for port in 0 1; do
		devices+=(--vdev "net_vhost$port,iface=/run/vhost$port,iommu-support=1")
	done
	echo start >"$run/back-end.in"
	in_root bookworm stdbuf -oL dpdk-testpmd --no-huge -m 512 --no-pci --no-shconf \
		--no-telemetry --lcores '(0,1)@(0-1)' "${devices[@]}" -- -i --forward-mode=io \
		--total-num-mbufs=8192 < <(tail -f "$run/back-end.in") >"$run/back-end.log" 2>&1 &
	until [[ -S ${back_end_sockets}0 && -S ${back_end_sockets}1 ]]; do
		sleep 0.1
		kill -0 $! 2>/dev/null || die "the back end ended: $(tail -n 5 "$run/back-end.log")"
	done
}

# back_end_says COMMAND: what it prints, up to its echo of a command that it does not know.
back_end_says() {
	local from end='no such command' said
	from=$(stat -c %s "$run/back-end.log")
	printf '%s\n%s\n' "$1" "$end" >>"$run/back-end.in"
	for ((i = 0; i < 100; i++)); do
		said=$(tail -c "+$((from + 1))" "$run/back-end.log" | tr -d '\r\0')
		[[ $said == *"$end"* ]] || { sleep 0.1 && continue; }
		echo "${said%%"$end"*}"
		return
	done
	echo "the back end does not answer '$1' within 10 s: $said"
	return 1
}

# send_flows TAP COUNT: that many UDP datagrams, a flow each, into the guest's end of the tap.
send_flows() {
	local flow
	ip address replace 192.0.2.1/24 dev "$1"
	ip neighbour replace 192.0.2.2 lladdr 02:00:00:00:00:ff dev "$1" nud permanent
	for ((flow = 0; flow < $2; flow++)); do
		echo "flow $flow" >"/dev/udp/192.0.2.2/$((1024 + flow))"
	done
	ip address flush dev "$1"
}

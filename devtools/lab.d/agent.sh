# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# The host's ear on ttyS2. A request is one line; the reply is lines that begin with a space and
# a last line, `ok` or `error CAUSE`.

# serve_guest: runs until QEMU closes the channel.
serve_guest() {
	local verb rest
	exec {to_guest}<>"$run/host.in"
	while read -r verb rest; do
		answer "$verb" "$rest" >&"$to_guest"
	done <"$run/host.out"
}

answer() {
	local reply
	if reply=$("request_${1//-/_}" "$2" 2>&1); then
		[[ -z $reply ]] || sed 's/^/ /' <<<"$reply"
		echo ok
	else
		echo "error ${reply//$'\n'/ }"
	fi
}

request_result() { echo "$1" >>"$build_dir/results"; }
request_exit_status() { echo "$1" >"$run/exit-status"; }
request_tap_stats() { tap_statistics; }

request_send() {
	local words
	read -ra words <<<"$1"
	send_flows "${words[@]}"
}

# The device with the shared doorbell page has no wire, on purpose.
request_qemu_errors() { grep -v 'hub 1 is not connected' "$run/qemu.stderr" || true; }
request_monitor() { monitor "$1"; }
request_back_end() { back_end_says "$1"; }

# trace on EVENT, trace off EVENT
request_trace() {
	local state=${1%% *} event=${1#* }
	[[ $state == on || $state == off ]] || { echo "trace wants on or off, not $state" && return 1; }
	monitor "trace-event $event $state"
}

# What was traced since the last trace-clear.
trace_log() { tail -c "+$(($(cat "$run/trace-start" 2>/dev/null || echo 0) + 1))" "$run/qemu.log"; }

request_trace_count() { trace_log | grep -caE -- "$1" || true; }
request_trace_lines() { trace_log | grep -aE -- "$1" || true; }

# Of the trace event virtio_pci_notify_write since the last trace-clear: how many writes to a page
# arrived before its value was written to BEGIN, between that and END, and after END. Pages are
# given as the event does, by their offset among all doorbells, such as 0x1000.
request_trace_race() {
	local page begin end
	read -r page begin end <<<"$1"
	trace_log |
		awk -v page="$page" -v begin="$begin" -v end="$end" '
			$1 != "virtio_pci_notify_write" { next }
			$2 == begin { begun[$4] = 1 }
			$2 == end { ended[$4] = 1 }
			$2 == page && $4 in ended { late++; next }
			$2 == page && $4 in begun { during++; next }
			$2 == page { before++ }
			END { print before + 0, during + 0, late + 0 }'
}

# Doorbells rung so far; see doorbells.c.
request_doorbells() { od -An -t u8 "$run/doorbells"; }

request_trace_clear() { stat -c %s "$run/qemu.log" >"$run/trace-start"; }

# Makes a guest that says nothing any more write to its console what its processors do and which
# tasks are blocked, and end. What QEMU knows of the processors is printed.
wake_guest() {
	local second
	monitor 'info registers -a' | grep -E '^CPU#|^[ER]IP=|RSP=' || true
	monitor 'info lapic 0' | grep -E 'LVTT|Timer|IRR|ISR' || true
	monitor 'info lapic 1' | grep -E 'LVTT|Timer|IRR|ISR' || true
	monitor nmi || true
	for ((second = 0; second < 20; second++)); do
		kill -0 "$guest" 2>/dev/null || break
		sleep 1
	done
}

# monitor COMMAND: one command of QEMU's human monitor, over the machine protocol, whose replies
# are one line each.
monitor() {
	local line command=${1//\\/\\\\}
	command=${command//\"/\\\"}
	exec {qmp}<>"$run/qmp.in" {qmp_reply}<>"$run/qmp.out"
	if [[ ! -e $run/qmp.ready ]]; then
		echo '{"execute":"qmp_capabilities"}' >&"$qmp"
		: >"$run/qmp.ready"
	fi
	printf '{"execute":"human-monitor-command","arguments":{"command-line":"%s"},"id":"hmp"}\n' \
		"$command" >&"$qmp"
	while read -r -t 10 -u "$qmp_reply" line; do
		[[ $line == *'"id": "hmp"'* ]] || continue
		[[ $line != *'"error"'* ]] || { echo "$line" && return 1; }
		line=${line#*\"return\": \"}
		line=${line%\", \"id\": \"hmp\"\}*}
		line=${line//\\\"/\"}
		printf '%b' "$line" | tr -d '\r'
		return
	done
	echo 'no answer from the monitor of QEMU'
	return 1
}

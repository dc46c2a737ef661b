# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# One guest from boot to power-off.

# A single word is shell text, as with ssh; several are a command and its arguments.
shell_words() {
	(($# > 1)) && printf '%q ' "$@" || printf '%s' "$1"
}

new_run() {
	run=$(mktemp -d "$lab_dir/run.XXXXXX")
	exec {run_lock}>"$run/lock"
	flock -s "$run_lock"
	mkfifo "$run"/{terminal,host,qmp}.{in,out}
	: >"$run/qemu.log"
}

end_run() {
	exec {run_lock}>&-
	rm -rf "$run"
	run=
}

# boot KERNEL MACHINE MODE COMMAND: use with & as it becomes the guest. Its standard input and
# output are the terminal of the command.
boot() {
	printf '%s' "$4" >"$run/command"
	printf '%s' "$3" >"$run/mode"
	run=$run build_dir=$build_dir kernel_extra=${kernel_extra-} \
		contained --net live_guest "$1" "$2" "$3"
}

live_guest() {
	local status=0 output
	ip link set lo up
	lay_wire
	[[ $2 != vhost-user ]] || start_back_end
	serve_guest &
	cat "$run/terminal.out" &
	output=$!
	if [[ $3 == shell ]]; then
		cat <&0 >"$run/terminal.in" &
	fi
	start_qemu "$1" "$2" || status=$?
	wait "$output"
	echo "$status" >"$run/qemu-status"
}

# The exit status of the guest's command, or 125 when the guest did not get that far.
guest_status() {
	if [[ -s $run/exit-status ]]; then
		return "$(<"$run/exit-status")"
	fi
	say "the guest ended early; QEMU's exit status: $(cat "$run/qemu-status" 2>/dev/null)"
	tail -n 20 "$run/console.log" "$run/qemu.stderr" >&2 || true
	return 125
}

run_in_guest() {
	local status=0
	new_run
	boot "${kernel:-6.12}" "$machine" run "$1" &
	wait $! || true
	guest_status || status=$?
	end_run
	return "$status"
}

shell_in_guest() {
	local status=0
	new_run
	saved_tty=$(stty -g)
	boot "${kernel:-6.12}" "$machine" shell "stty $(stty size | sed 's/^/rows /;s/ \([0-9]*\)$/ cols \1/')
		export TERM=${TERM:-vt100}; exec bash -i" <&0 &
	say 'the guest is booting; leave its shell with exit'
	stty raw -echo
	wait $! || true
	stty "$saved_tty"
	guest_status || status=$?
	end_run
	return "$status"
}

# KVM can be there and not work (a kernel that dies while unpacking itself), so it is tried once.
choose_accelerator() {
	[[ ! -e $lab_dir/accelerator ]] || return 0
	if [[ -w /dev/kvm ]]; then
		say 'trying KVM'
		echo kvm >"$lab_dir/accelerator"
		kvm_works && return
	fi
	say 'no usable KVM: QEMU emulates the processor (TCG); rates mean little'
	echo tcg >"$lab_dir/accelerator"
}

kvm_works() {
	local guest status=1
	new_run
	boot 6.12 default run true &
	guest=$!
	for ((i = 0; i < 150; i++)); do
		kill -0 "$guest" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$guest" 2>/dev/null || true
	wait "$guest" 2>/dev/null || true
	[[ ! -s $run/exit-status || $(<"$run/exit-status") != 0 ]] || status=0
	end_run
	return "$status"
}

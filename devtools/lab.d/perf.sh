# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab perf`: the driver against stock net_virtio, in two guests, and in one process without any.

perf_modes=(split split-mrg split-order split-mrg-order packed packed-mrg packed-order packed-mrg-order)
perf_quick_modes=(split-mrg packed-mrg)

perf_main() {
	local word native='' alternations=10 modes=("${perf_modes[@]}") options=()
	for word; do
		case $word in
		--native) native=yes ;;
		--quick)
			alternations=2 modes=("${perf_quick_modes[@]}")
			options=("$word" "${options[@]}")
			;;
		--rounds=*) options+=("$word") ;;
		*) die "perf: $word is not understood (see devtools/lab help)" ;;
		esac
	done
	start_lab
	set_up
	rm -f "$build_dir/results"
	if [[ -z $native ]]; then
		perf_in_guest perf taps
		perf_in_guest vhost-user vhost-user
		options+=(--lab /build/results)
	fi
	say "measuring without a guest; all results go to $lab_dir/perf"
	contained in_root bookworm /src/devtools/lab.d/in-root/perf "${options[@]}" &
	wait $! || die 'perf: the measurement failed'
	rm -rf "$lab_dir/perf"
	cp -r "$build_dir/perf" "$lab_dir/perf"
}

# perf_in_guest MACHINE BACK_END
perf_in_guest() {
	say "measuring in a guest: ${#modes[@]} modes, $alternations alternations, over $2"
	machine=$1
	run_in_guest "exec \$GUEST/perf.py $2 $alternations ${modes[*]}" ||
		die "perf: the measurement over $2 failed"
}

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab perf`: what the driver costs, measured against stock in one process, without a guest.

perf_main() {
	local word options=()
	for word; do
		case $word in
		--native) ;; # all that there is so far
		--quick | --rounds=*) options+=("$word") ;;
		*) die "perf: $word is not understood (see devtools/lab help)" ;;
		esac
	done
	start_lab
	set_up
	say "measuring; the results go to $lab_dir/perf"
	contained in_root bookworm /src/devtools/lab.d/in-root/perf "${options[@]}" &
	wait $! || die 'perf: the measurement failed'
	rm -rf "$lab_dir/perf"
	cp -r "$build_dir/perf" "$lab_dir/perf"
}

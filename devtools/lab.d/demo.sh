# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab demo`: the main job in a guest, and a picture of it.

demo_main() {
	start_lab
	set_up
	rm -f "$build_dir/results" "$build_dir/demo.svg"
	run_in_guest 'exec "$GUEST/demo.py"'
	contained in_root bookworm /src/devtools/lab.d/in-root/demo-plot /build/results \
		/build/demo.svg &
	wait $! || die 'demo: no plot'
	cp "$build_dir/demo.svg" "$lab_dir/demo.svg"
	say "the same as a picture: $lab_dir/demo.svg"
}

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab mutations`: the kernel driver, broken on purpose in many ways; a named case catches each.

mutants_main() {
	local of_kernel=${kernel:-6.12} names name
	# For the step, which is a process of its own.
	export mutants_kernel=$of_kernel mutants_named=$*
	summary_due=yes
	start_lab
	set_up
	rm -f "$lab_dir/stamps/mutants"
	start_step mutants '' build_mutants
	wait_steps
	make_payload
	mapfile -t names < <(sed -n 's/: built$//p' "$lab_dir/log/mutants.log")
	# Freed memory is poisoned, so that its use is noticed, and an oops ends the guest at once.
	kernel_extra="slub_debug=FZP oops=panic"
	# One boot each: a broken driver can leave anything behind.
	for name in "${names[@]}"; do
		run_scenarios "$of_kernel" default "mutant@$name"
	done
	print_summary
	((failed == 0))
}

build_mutants() {
	local named
	read -ra named <<<"$mutants_named"
	in_root "${root_of_kernel[$mutants_kernel]}" \
		/src/app/test-conformance/mutations/build-mutants \
		"/lib/modules/$(kernel_release "$mutants_kernel")/build" \
		/src/kernel /build/mutants /build/payload/mutants "${named[@]}"
}

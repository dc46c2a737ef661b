# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab mutations`: the kernel driver or the lease library, broken on purpose in many ways. For each,
# what must notice it is named.

mutants_main() {
	local what=${1-} of_kernel=${kernel:-6.12} names
	[[ $what == kernel || $what == library ]] ||
		die "mutations '$what': neither kernel nor library (see devtools/lab help)"
	# For the step, which is a process of its own.
	export mutants_kernel=$of_kernel mutants_named=${*:2}
	summary_due=yes
	start_lab
	set_up
	rm -f "$lab_dir/stamps/mutants"
	start_step mutants '' "build_mutants_of_$what"
	wait_steps
	make_payload
	mapfile -t names < <(sed -n 's/: built$//p' "$lab_dir/log/mutants.log")
	"run_mutants_of_$what" "${names[@]}"
	print_summary
	((failed == 0))
}

build_mutants_of_kernel() {
	build_mutants "${root_of_kernel[$mutants_kernel]}" test-conformance \
		"/lib/modules/$(kernel_release "$mutants_kernel")/build" /src/kernel
}

build_mutants_of_library() { build_mutants bookworm test-isolation /src /build/sdk; }

# build_mutants ROOT PROGRAM ARG...: by its script, which takes these arguments first.
build_mutants() {
	local named
	read -ra named <<<"$mutants_named"
	in_root "$1" "/src/app/$2/mutations/build-mutants" "${@:3}" /build/mutants \
		/build/payload/mutants "${named[@]}"
}

# One boot each: a broken driver can leave anything behind.
run_mutants_of_kernel() {
	local name
	# Freed memory is poisoned, so that its use is noticed, and an oops ends the guest at once.
	kernel_extra="slub_debug=FZP oops=panic"
	for name; do
		run_scenarios "$of_kernel" default "mutant@$name"
	done
}

run_mutants_of_library() { run_scenarios "$of_kernel" default "${@/#/hostile_mutant@}"; }

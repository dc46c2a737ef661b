# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# Builds the checkout: the libraries and the driver in the bookworm root, the kernel modules in
# the root whose compiler built the kernel.

# Checkouts that share a lab each get a build folder.
build_dir=${build_dir:-$lab_dir/build/$(basename "$top")-$(cksum <<<"$top" | cut -d' ' -f1)}

set_up() {
	lock_lab
	install_host_packages
	start_roots
	wait_steps
	start_images
	mkdir -p "$build_dir"
	[[ $build == no ]] || start_build
	wait_steps
	make_payload
	choose_accelerator
	unlock_lab
}

start_build() {
	# Never cached here: meson and make know best what is stale.
	rm -f "$lab_dir/stamps"/build-*
	start_step build-project '' build_project
	start_step build-modules-6.12 '' build_modules_6_12
	start_step build-modules-7.2 '' build_modules_7_2
	[[ -z $debug_kernel ]] ||
		start_step "build-modules-$debug_kernel" '' build_debug_modules
}

build_project() {
	[[ -e $top/meson.build ]] || return 0
	in_root bookworm /src/devtools/lab.d/in-root/build-project
}

build_modules_6_12() { build_modules 6.12; }
build_modules_7_2() { build_modules 7.2; }

build_modules() {
	[[ -d $top/kernel/linux ]] || return 0
	in_root "${root_of_kernel[$1]}" /src/devtools/lab.d/in-root/build-modules "$(kernel_release "$1")"
}

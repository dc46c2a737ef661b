# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab debug-kernel`: builds a kernel full of checkers from Debian's source package, in a root of
# its own, and runs the scenarios of the kernel driver on it. Kernel and root are both called
# debug-6.12 or debug-7.2.

# The steps run in shells of their own.
export debug_kernel=${debug_kernel-}

debug_packages=(gcc make flex bison bc libelf-dev libssl-dev xz-utils python3 kmod cpio rsync)

debug_main() {
	local series=${kernel:-7.2} selected=() names=("$@") name
	for name; do
		[[ -e $scenarios/$name.py ]] || die "no scenario is called $name"
	done
	(($#)) || mapfile -t names < <(
		scenarios_for "$series" default | grep '^conformance'
		scenario_names debug-kernel
	)
	debug_kernel=debug-$series
	slowness=5 stress=${stress:-600}
	# It takes away the caches of free objects whose stale pointers hide leaks from kmemleak.
	kernel_extra=slab_debug=F
	summary_due=yes
	start_lab
	set_up_debug_kernel
	set_up
	run_scenarios "$debug_kernel" default "${names[@]}"
	print_summary
	((failed == 0))
}

set_up_debug_kernel() {
	lock_lab
	install_host_packages
	start_step "$debug_kernel-root" "${debug_packages[*]}" make_debug_root
	wait_steps
	start_step "$debug_kernel" "$(cat "$lab_dir/stamps/$debug_kernel-root" \
		"$top"/devtools/{debug-kernel.config,lab.d/in-root/build-kernel})" build_debug_kernel
	wait_steps
	unlock_lab
}

make_debug_root() {
	local series=${debug_kernel#debug-} root=$lab_dir/roots/$debug_kernel codename index
	codename=${root_of_kernel[$series]}
	find_mirrors
	index=$(open_index "$codename")
	make_root "$debug_kernel" "$codename" "linux-source-$series" "${debug_packages[@]}"
	tar -xJf "$root/usr/src/linux-source-$series.tar.xz" -C "$root/usr/src"
	rm "$root/usr/src/linux-source-$series.tar.xz"
	mv "$root/usr/src/linux-source-$series" "$root/usr/src/linux"
}

build_debug_kernel() {
	local image=$lab_dir/images/vmlinuz-$debug_kernel
	in_root "$debug_kernel" /src/devtools/lab.d/in-root/build-kernel
	cp "$lab_dir/roots/$debug_kernel/usr/src/linux/arch/x86/boot/bzImage" "$image.new"
	mv "$image.new" "$image"
}

build_debug_modules() {
	local release
	release=$(kernel_release "$debug_kernel")
	build_modules "$debug_kernel"
	cp "$lab_dir/roots/$debug_kernel/lib/modules/$release"/modules.* \
		"$build_dir/payload/modules/$release"
}

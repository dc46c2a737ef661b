# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# Three Debian roots. bookworm: the guest's file system and, as a chroot, the place where the
# project is built. trixie: QEMU 10.0 and the place where modules for Linux 7.2 are built. qemu: no
# more than QEMU 11.1, which most machines are run by: see qemu() in machine.sh.

kernels=(6.12 7.2)

declare -A root_of_kernel=(
	[6.12]=bookworm [7.2]=trixie [debug-6.12]=debug-6.12 [debug-7.2]=debug-7.2
)

host_commands=(
	mmdebstrap:mmdebstrap ip:iproute2 tc:iproute2 mke2fs:e2fsprogs flock:util-linux
	setpriv:util-linux unshare:util-linux mount:mount
)

bookworm_packages=(
	dpdk dpdk-dev libdpdk-dev
	iproute2 mount pciutils kmod procps strace ethtool
	gcc make meson ninja-build pkg-config libnuma-dev libcmocka-dev dpkg-dev shellcheck
	python3 python3-pyelftools dkms sparse gnuplot-nox
)

trixie_packages=(qemu-system-x86 seabios gcc make kmod dkms)
qemu_packages=(qemu-system-x86 seabios)

install_host_packages() {
	local pair missing=()
	for pair in "${host_commands[@]}"; do
		type -P "${pair%%:*}" >/dev/null ||
			[[ " ${missing[*]} " == *" ${pair##*:} "* ]] || missing+=("${pair##*:}")
	done
	[[ -e $archive_keyring ]] || missing+=(debian-archive-keyring)
	((${#missing[@]})) || return 0
	say "installing on this machine: ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			"${missing[@]}" >"$lab_dir/log/host-packages.log" 2>&1 ||
		step_failed host-packages
}

# make_root NAME CODENAME PACKAGE...: from the sources of $index.
make_root() {
	local root=$lab_dir/roots/$1 codename=$2 settings=$lab_dir/apt/$1.settings
	shift 2
	apt_settings >"$settings"
	rm -rf --one-file-system "$root"
	# INITRD=No: the cloud kernels boot from NVMe and ext4 without one.
	usable_sources "$index" | INITRD=No mmdebstrap --mode=root --variant=apt \
		--aptopt="$settings" --dpkgopt=force-unsafe-io --skip=cleanup/apt/lists \
		--include="$*" "$codename" "$root" -
	mkdir -p "$root"/{src,build}
	rm -f "$root/etc/resolv.conf"
	: >"$root/etc/resolv.conf"
}

# make_kernel_root CODENAME KERNEL PACKAGE...: with the newest cloud kernel of that series.
make_kernel_root() {
	local codename=$1 index release
	find_mirrors
	index=$(open_index "$codename")
	release=$(newest_kernel "$index" "$2")
	shift 2
	make_root "$codename" "$codename" "$@" "linux-image-$release" "linux-headers-$release"
	echo "$release" >"$lab_dir/roots/$codename/kernel-release"
}

make_bookworm_root() { make_kernel_root bookworm 6.12 "${bookworm_packages[@]}"; }

# The kernel of trixie-backports wants a linux-base from there.
make_trixie_root() {
	make_kernel_root trixie 7.2 "${trixie_packages[@]}" linux-base/trixie-backports
	[[ $(chroot "$lab_dir/roots/trixie" dpkg-query -W -f '${Version}' qemu-system-x86) == 1:10.0.* ]] ||
		die 'the QEMU of trixie is not 10.0'
}

sources_of_qemu() { sources_of trixie; }

make_qemu_root() {
	local root=$lab_dir/roots/qemu settings=$lab_dir/apt/qemu.settings index packages
	find_mirrors
	index=$(open_index qemu sources_of_qemu)
	apt_settings >"$settings"
	echo 'APT::Default-Release "trixie-backports";' >>"$settings"
	packages=${qemu_packages[*]}
	rm -rf --one-file-system "$root"
	usable_sources "$index" | mmdebstrap --mode=root --variant=extract --aptopt="$settings" \
		--include="$packages" trixie "$root" -
	[[ $(program_of "$root" qemu-system-x86_64 --version) == *' version 11.1.'* ]] ||
		die 'the QEMU of trixie-backports is not 11.1'
}

start_bookworm_root() {
	local packages="${bookworm_packages[*]}"
	start_step bookworm-root "6.12 $packages" make_bookworm_root
}

start_roots() {
	local packages
	[[ -e $lab_dir/stamps/bookworm-root && -e $lab_dir/stamps/trixie-root ]] ||
		say "making three Debian roots in $lab_dir/roots (1.6 GB, a few minutes, once)"
	start_bookworm_root
	packages="${trixie_packages[*]}"
	start_step trixie-root "7.2 $packages" make_trixie_root
	packages="${qemu_packages[*]}"
	start_step qemu-root "11.1 $packages" make_qemu_root
}

# program_of ROOT NAME ARG...: runs on this machine, by the root's own dynamic loader.
program_of() {
	"$1/usr/lib64/ld-linux-x86-64.so.2" --library-path "$1/usr/lib/x86_64-linux-gnu" \
		${preload:+--preload "$preload"} "$1/usr/bin/$2" "${@:3}"
}

kernel_release() { cat "$lab_dir/roots/${root_of_kernel[$1]}/kernel-release"; }

# in_root CODENAME CMD...: runs contained, with the checkout at /src and the build folder at /build.
in_root() {
	local root=$lab_dir/roots/$1
	shift
	mount -t proc proc "$root/proc"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t tmpfs tmpfs "$root/tmp"
	mount -t tmpfs tmpfs "$root/run"
	mount --bind "$top" "$root/src"
	mount -o remount,bind,ro "$root/src"
	mount --bind "$build_dir" "$root/build"
	mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$root" "$@"
}

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab dpdk`: the project with another release of DPDK, in its source tree and outside of it.

dpdk_main() {
	(($# == 1)) || die 'dpdk: name one release, such as 24.11, or the folder of a source tree'
	# For the steps, which are processes of their own.
	export dpdk_wanted=$1
	[[ ! -d $1 ]] || dpdk_wanted=$(realpath "$1")
	start_lab
	lock_lab
	install_host_packages
	start_bookworm_root
	wait_steps
	unlock_lab
	rm -f "$lab_dir"/stamps/dpdk{-source,}
	start_step dpdk-source '' get_dpdk
	wait_steps
	start_step dpdk '' try_dpdk
	wait_steps
	grep '^Ok:' "$lab_dir/log/dpdk.log"
	say "DPDK $(dpdk_version): the driver builds in its tree and outside of it, and passes the unit tests"
}

dpdk_version() { cat "$build_dir/dpdk/version"; }

# To $build_dir/dpdk/VERSION/tree, what changed last time remains.
get_dpdk() {
	local new=$build_dir/dpdk/new tree
	rm -rf "$new"
	mkdir -p "$new"
	if [[ -d $dpdk_wanted ]]; then
		[[ -e $dpdk_wanted/VERSION ]] || die "dpdk: $dpdk_wanted has no VERSION: no DPDK source tree"
		tar -C "$dpdk_wanted" --exclude=./.git --exclude=./build -c . | tar -C "$new" -x
	else
		unpack_dpdk_source "$dpdk_wanted" "$new"
	fi
	cp "$new/VERSION" "$build_dir/dpdk/version"
	tree=$build_dir/dpdk/$(dpdk_version)/tree
	mkdir -p "$tree"
	# Not touched where nothing changed, for the sake of ninja.
	cp -ru "$new/." "$tree"
	rm -rf "$new"
}

# unpack_dpdk_source RELEASE FOLDER: from the newest Debian source package of that release.
unpack_dpdk_source() {
	local version
	find_mirrors
	export APT_CONFIG
	APT_CONFIG=$(open_index dpdk dpdk_sources)
	version=$(apt-cache showsrc --only-source dpdk | sed -n 's/^Version: //p' | sort -V |
		grep "^${1//./\\.}[.-]" | tail -n 1) || true
	[[ -n $version ]] ||
		die "dpdk: the mirror has no source package of DPDK $1: name the folder of a source tree"
	cd "$lab_dir/apt/dpdk" || return
	apt-get source --download-only --only-source "dpdk=$version" ||
		die "dpdk: cannot fetch the source package $version: name the folder of a source tree"
	tar -xf dpdk_"${version%-*}".orig.tar.* -C "$2" --strip-components=1
}

dpdk_sources() {
	local suite
	for suite in bookworm trixie forky sid; do
		source_line "$debian_mirror" "$suite"
	done | sed 's/^deb /deb-src /'
}

try_dpdk() { in_root bookworm /src/devtools/lab.d/in-root/dpdk "$(dpdk_version)"; }

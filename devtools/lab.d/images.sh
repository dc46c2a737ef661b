# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# The guest's disks: the root, which lasts, and the payload, which is made anew for a changed tree.

make_root_image() {
	local root=$lab_dir/roots/bookworm images=$lab_dir/images release
	release=$(kernel_release 7.2)
	cp -L "$root/boot/vmlinuz-$(kernel_release 6.12)" "$images/vmlinuz-6.12"
	cp -L "$lab_dir/roots/trixie/boot/vmlinuz-$release" "$images/vmlinuz-7.2"
	rm -rf "$root/lib/modules/$release"
	cp -a "$lab_dir/roots/trixie/lib/modules/$release" "$root/lib/modules/"
	rm -f "$root/lib/modules/$release/"{vmlinuz,build,source}
	install -m 755 "$top/devtools/guest/first-init" "$root/first-init"
	mkdir -p "$root/opt/bar-lease"
	make_ext4 "$root" "$images/root.ext4" 2G
}

# make_ext4 FOLDER IMAGE SIZE; a guest that runs keeps the old image, which is only unlinked.
make_ext4() {
	rm -f "$2.new"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$1" "$2.new" "$3" >/dev/null
	mv "$2.new" "$2"
}

# What is loaded into QEMU. A guest that runs keeps the old one.
make_preload() {
	in_root bookworm gcc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -shared -fPIC \
		-o /run/preload.so /src/devtools/lab.d/doorbells.c \
		/src/devtools/lab.d/notification_data.c
	cp "$lab_dir/roots/bookworm/run/preload.so" "$lab_dir/images/preload.so.new"
	mv "$lab_dir/images/preload.so.new" "$lab_dir/images/preload.so"
}

start_images() {
	start_step preload "$(cat "$lab_dir/stamps/bookworm-root" \
		"$top"/devtools/lab.d/{preload.h,doorbells.c,notification_data.c})" make_preload
	start_step root-image "$(cat "$top/devtools/guest/first-init" \
		"$lab_dir"/stamps/{bookworm,trixie}-root)" make_root_image
}

# What changes from run to run: the guest's scripts and what the build installed.
make_payload() {
	local stage=$build_dir/payload
	rm -rf "$stage/guest"
	mkdir -p "$stage"
	cp -a "$top/devtools/guest" "$stage/guest"
	make_ext4 "$stage" "$build_dir/payload.ext4" 128M
}

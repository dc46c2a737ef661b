# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# The virtual machine: QEMU's command line for each kind of machine.

machines=(default no-iommu packed rss wide perf vhost-user)

# qemu MACHINE ARG...: emulating two processors, QEMU 10.0 can lose what one writes to a device while
# the other switches another device's memory on or off: when that is the IOMMU, Linux waits for ever.
# 11.1 does not, but crashes where devices are plugged in as the guest runs, and stalls vhost-user.
qemu() {
	local root=$lab_dir/roots/qemu
	[[ $1 != perf && $1 != vhost-user ]] || root=$lab_dir/roots/trixie
	DOORBELLS=$run/doorbells preload=$lab_dir/images/preload.so program_of "$root" \
		qemu-system-x86_64 -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "${@:2}"
}

accelerator_args() {
	if [[ $(<"$lab_dir/accelerator") == kvm ]]; then
		echo '-accel kvm -cpu host'
	else
		echo '-accel tcg,thread=multi -cpu max'
	fi
}

# An emulated processor on a busy host can miss ticks for long: without no_timer_check the kernel
# panics at boot ("timer doesn't work"), and its stall detectors would blame the test. At an NMI it
# says what each processor does and which tasks are blocked: see wake_guest.
kernel_line() {
	echo "console=ttyS0 quiet panic=-1 intel_iommu=on iommu=nopt nokaslr mitigations=off" \
		"no_timer_check watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120" \
		"unknown_nmi_panic panic_print=0xc0" \
		"root=/dev/nvme0n1 rw rootfstype=ext4 init=/first-init hugepages=700 ${kernel_extra-}"
}

# root_port NUMBER: the device behind it gets the address 0000:0(NUMBER + 1):00.0. QEMU's port never
# says that its link is active, which Linux looks at after a reset of the bus behind a faster port.
root_port() {
	echo "-device pcie-root-port,id=rp$1,chassis=$((1 + $1)),slot=$((1 + $1)),addr=0x1$1,x-speed=5"
}

# tap_end NUMBER [QUEUES]
tap_end() {
	echo "-netdev tap,id=net$1,ifname=tap$1,script=no,downscript=no,queues=${2-8},vhost=off"
}

# wired_port NUMBER OPTIONS [QUEUES]: one end of the wire. The monitor knows it as port0 or port1.
wired_port() {
	local queues=${3-8}
	root_port "$1"
	tap_end "$1" "$queues"
	echo "-device virtio-net-pci,id=port$1,bus=rp$1,netdev=net$1,mac=02:00:00:00:00:0$1,$(
		)mq=on,vectors=$((2 * queues + 2)),page-per-vq=on,disable-legacy=on,aer=on,$(
		)romfile=$2"
}

# vhost_user_end NUMBER: one end of the wire that start_back_end lays.
vhost_user_end() {
	echo "-chardev socket,id=vhost$1,path=$back_end_sockets$1" \
		"-netdev vhost-user,id=net$1,chardev=vhost$1"
}

# Ports for devices that the guest asks for as it runs; net0 and net1 are for them.
bare_ports() {
	local number
	for number in 0 1; do
		root_port "$number"
		"$1" "$number"
	done
}

# A device whose doorbells all share one page.
shared_page_port() {
	root_port 2
	echo "-netdev hubport,id=net2,hubid=1" \
		"-device virtio-net-pci,bus=rp2,netdev=net2,mac=02:00:00:00:00:02,$(
		)page-per-vq=off,disable-legacy=on,romfile=$1"
}

# Devices with BARs of other kinds, for the tests of the kernel driver.
bar_devices() {
	root_port 3
	echo "-object memory-backend-ram,id=shmem,size=64M,share=on" \
		"-device ivshmem-plain,id=ivshmem,bus=rp3,memdev=shmem"
	root_port 4
	echo "-device bochs-display,id=bochs,bus=rp4,vgamem=16M"
	root_port 5
	echo "-device edu,id=edu,bus=rp5"
}

machine_args() {
	local platform=,iommu_platform=on,ats=on
	[[ $1 == no-iommu ]] && platform='' ||
		echo '-device intel-iommu,intremap=on,eim=on,caching-mode=on,device-iotlb=on'
	case $1 in
	perf)
		bare_ports tap_end
		return
		;;
	vhost-user)
		bare_ports vhost_user_end
		echo '-object memory-backend-memfd,id=ram,size=4G,share=on -machine memory-backend=ram'
		return
		;;
	esac
	case $1 in
	packed)
		wired_port 0 "$platform,packed=on"
		wired_port 1 "$platform,packed=on,in_order=on"
		;;
	rss)
		wired_port 0 "$platform,rss=on,hash=on"
		wired_port 1 "$platform,rss=on,hash=on"
		;;
	wide)
		wired_port 0 "$platform,speed=10000,duplex=half" 128
		wired_port 1 "$platform,speed=10000,duplex=half" 128
		return
		;;
	*)
		wired_port 0 "$platform"
		wired_port 1 "$platform"
		;;
	esac
	shared_page_port "$platform"
	[[ $1 == no-iommu ]] || bar_devices
}

disk_args() {
	echo "-drive file=$lab_dir/images/root.ext4,if=none,id=root,format=raw,snapshot=on" \
		"-device nvme,drive=root,serial=root,addr=0x18" \
		"-drive file=$build_dir/payload.ext4,if=none,id=payload,format=raw,readonly=on" \
		"-device virtio-blk-pci,drive=payload,addr=0x19"
}

# ttyS0 console, ttyS1 the command's terminal, ttyS2 requests to the host. ttyS2 must not share
# the console's interrupt: ISA interrupts are edge-triggered.
channel_args() {
	echo "-chardev file,id=console,path=$run/console.log -serial chardev:console" \
		"-chardev pipe,id=terminal,path=$run/terminal -serial chardev:terminal" \
		"-chardev pipe,id=host,path=$run/host" \
		"-device isa-serial,chardev=host,index=2,irq=10" \
		"-chardev pipe,id=qmp,path=$run/qmp -mon chardev=qmp,mode=control" \
		"-fw_cfg name=opt/lab/command,file=$run/command" \
		"-fw_cfg name=opt/lab/mode,file=$run/mode" \
		"-D $run/qemu.log"
}

# start_qemu KERNEL MACHINE: no word of these has a space but the kernel's command line.
start_qemu() {
	# shellcheck disable=SC2046
	qemu "$2" -M q35,kernel-irqchip=split -smp 2 -m 4096 -nodefaults -no-user-config -display none \
		-no-reboot -rtc base=utc $(accelerator_args) $(machine_args "$2") $(disk_args) \
		$(channel_args) -kernel "$lab_dir/images/vmlinuz-$1" -append "$(kernel_line)" \
		</dev/null >"$run/qemu.stderr" 2>&1
}

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Deliberate breakages of the kernel driver, and the conformance case that must catch each.

A case is named by a part of its line in the program's output. `old` must stand exactly once in the
file. An empty case: no breakage, every case must pass.
"""

from collections import namedtuple

Mutation = namedtuple("Mutation", "name case file old new device", defaults=("virtio",))

FAULT = """\
	down_read(&dev->lock);
	if (bar_dmabuf_reachable(buf))
		ret = bar_dmabuf_insert(vmf, pfn, order);
	up_read(&dev->lock);
"""
DELAY = "\t\tschedule_timeout_uninterruptible(1), ret = "

MUTATIONS = [
    # What the others are compared with.
    Mutation("none", "", "main.c", "static bool p2p_export;", "static bool p2p_export;"),

    # Revoke
    Mutation("revoke-not-checked", "an untouched mapping raises SIGBUS", "mmap.c",
             "return !bar_dmabuf_orphaned(buf) && !buf->revoked;",
             "return !bar_dmabuf_orphaned(buf);"),
    Mutation("revoke-no-zap", "a touched mapping raises SIGBUS", "dmabuf.c",
             "bar_dmabuf_zap(dev, buf->size);", ";"),
    Mutation("revoke-zaps-one-page", "every page of a buffer is revoked", "dmabuf.c",
             "bar_dmabuf_zap(dev, buf->size);", "bar_dmabuf_zap(dev, PAGE_SIZE);"),
    Mutation("revoke-of-other-device", "a DMABUF of another device", "dmabuf.c",
             " || ((struct bar_dmabuf *)dmabuf->priv)->dev != dev", ""),
    Mutation("revoke-twice", "a second revoke: EBADFD", "dmabuf.c",
             "ret = -EBADFD;", "ret = 0;"),
    Mutation("mapping-out-of-reach", "a touched mapping raises SIGBUS", "dmabuf.c",
             "dmabuf->file->f_mapping = dev->core.vdev.inode->i_mapping;", ""),
    # The delay alone does no harm: the lock is what catches the fault under way.
    Mutation("slow-fault", "", "mmap.c", FAULT,
             FAULT.replace("\t\tret = ", DELAY)),
    Mutation("slow-fault-without-lock", "stress: no touch reaches the device", "mmap.c",
             FAULT, FAULT.replace("\tif (", "\tup_read(&dev->lock);\n\tif (")
             .replace("\t\tret = ", DELAY)
             .replace("order);\n\tup_read(&dev->lock);", "order);")),

    # Ways a BAR goes away
    Mutation("close-no-orphans", "device closed: SIGBUS everywhere", "main.c",
             "dev->session++;", ";"),
    Mutation("close-no-zap", "device closed: SIGBUS everywhere", "main.c",
             "bar_dmabuf_zap(dev, BAR_DMABUF_MAX_SIZE);\n\tvfio_pci_core_close_device(vdev);",
             "vfio_pci_core_close_device(vdev);"),
    Mutation("no-device-reference", "kernel log", "dmabuf.c",
             "get_device(&dev->core.vdev.device);", ";"),
    Mutation("decode-not-checked", "memory decode off: SIGBUS, mmap()", "mmap.c",
             " && compat_memory_enabled(core);", ";"),
    Mutation("power-not-checked", "low-power entry and exit", "mmap.c",
             "!core->pm_runtime_engaged", "true"),
    Mutation("reset-not-checked", "sysfs reset", "mmap.c",
             "!buf->dev->resetting", "true"),
    Mutation("reset-never-done", "sysfs reset", "main.c",
             "dmabuf_vfio_set_resetting(pdev, false);", ";"),

    # Memory type
    Mutation("uc-for-wc", "WC is write-combining", "mmap.c",
             "pgprot_writecombine(vma->vm_page_prot);", "pgprot_noncached(vma->vm_page_prot);"),
    Mutation("wc-by-record", "WC is write-combining", "mmap.c",
             "return bar_dmabuf_insert_wc(vmf, pfn);",
             "return vmf_insert_pfn(vmf->vma, vmf->address, pfn);"),
    Mutation("memattr-forgotten", "GET returns what was SET", "dmabuf.c",
             "WRITE_ONCE(buf->memattr, attr.memattr);", ";"),

    # Place and size
    Mutation("next-page", "MAP_SHARED shows the page", "mmap.c",
             "range->offset + offset);", "range->offset + offset + PAGE_SIZE);"),
    Mutation("past-the-end", "export: ", "dmabuf.c",
             "if (end > (u64)buf->bar_start + bar_len)", "if (false)"),
    Mutation("unaligned-length", "export: ", "dmabuf.c",
             " || !PAGE_ALIGNED(range->length)", ""),
    Mutation("private-mapping", "MAP_PRIVATE", "mmap.c",
             "if (!(vma->vm_flags & VM_MAYSHARE))", "if (false)"),
    Mutation("writable-at-will", "a read-only descriptor", "dmabuf.c",
             "info.flags = open_flags;", "info.flags = O_RDWR;"),
    Mutation("huge-past-mapping", "no entry reaches past the mapping", "mmap.c",
             "addr < vma->vm_start || vma->vm_end - addr < size", "addr < vma->vm_start",
             "ivshmem"),
    Mutation("huge-unaligned", "huge: NC, not aligned", "mmap.c",
             "!IS_ALIGNED(pfn, 1UL << order)", "false", "ivshmem"),
    Mutation("never-huge", "NC, aligned", "mmap.c",
             "	.huge_fault	= bar_dmabuf_huge_fault,\n", "", "ivshmem"),

    # Sharing and failing
    # Were it allowed, the mapping that comes with it would still be refused.
    Mutation("attach-other-error", "an importer is refused", "dmabuf.c",
             "{\n\treturn -EOPNOTSUPP;\n}\n\n/* dma_buf_export() insists",
             "{\n\treturn -EINVAL;\n}\n\n/* dma_buf_export() insists"),
    Mutation("leak-without-descriptor", "nothing leaks", "dmabuf.c",
             "	if (ret < 0)\n		dma_buf_put(dmabuf);\n", ""),
]

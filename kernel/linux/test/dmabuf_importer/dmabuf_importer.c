// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * For tests only: imports a DMABUF. Write its descriptor's number to /proc/dmabuf_importer: a
 * platform device attaches to it, as one that can do peer-to-peer and let go of mappings at any
 * time, and detaches again. The errno of the write is that of the attachment.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/version.h>

/* The argument became a string in Linux 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("DMA_BUF");
#else
MODULE_IMPORT_NS(DMA_BUF);
#endif

static struct platform_device *importer;

/* Nothing is mapped, so there is nothing to let go of; to have this says that it could. */
static void importer_invalidate(struct dma_buf_attachment *attachment)
{
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
#ifdef HAVE_MOVE_NOTIFY
	.move_notify = importer_invalidate,
#else
	.invalidate_mappings = importer_invalidate,
#endif
};

static int importer_attach(int fd)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	attachment = dma_buf_dynamic_attach(dmabuf, &importer->dev, &importer_ops, NULL);
	if (!IS_ERR(attachment))
		dma_buf_detach(dmabuf, attachment);
	dma_buf_put(dmabuf);
	return PTR_ERR_OR_ZERO(attachment);
}

static ssize_t importer_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	int fd, ret;

	ret = kstrtoint_from_user(from, count, 0, &fd);
	if (!ret)
		ret = importer_attach(fd);
	return ret ? ret : count;
}

static const struct proc_ops importer_proc_ops = {
	.proc_write	= importer_write,
};

static int __init importer_init(void)
{
	int ret;

	importer = platform_device_register_simple("dmabuf_importer", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(importer))
		return PTR_ERR(importer);

	ret = dma_coerce_mask_and_coherent(&importer->dev, DMA_BIT_MASK(64));
	if (!ret && !proc_create("dmabuf_importer", 0600, NULL, &importer_proc_ops))
		ret = -ENOMEM;
	if (ret)
		platform_device_unregister(importer);
	return ret;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	remove_proc_entry("dmabuf_importer", NULL);
	platform_device_unregister(importer);
}
module_exit(importer_exit);

MODULE_DESCRIPTION("Test only: attaches to a DMABUF");
MODULE_AUTHOR("The dpdk-bar-lease authors");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* The life of a buffer: export, memory attribute, revoke, release. */

#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "dmabuf_vfio_pci.h"

COMPAT_IMPORT_NS_DMA_BUF;

/* An importer could make a revoke wait for it: these buffers are for mmap() only. */
static int bar_dmabuf_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	return -EOPNOTSUPP;
}

/* dma_buf_export() insists on these two; without an attachment nobody calls them. */
static struct sg_table *bar_dmabuf_map_dma(struct dma_buf_attachment *attachment,
					   enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void bar_dmabuf_unmap_dma(struct dma_buf_attachment *attachment, struct sg_table *table,
				 enum dma_data_direction direction)
{
}

static int bar_dmabuf_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	return bar_dmabuf_map(dmabuf->priv, vma);
}

static void bar_dmabuf_free(struct bar_dmabuf *buf)
{
	put_device(&buf->dev->core.vdev.device);
	kfree(buf->ranges);
	kfree(buf);
}

/* Runs when the last file, mapping and path reference is gone, maybe long after the device is. */
static void bar_dmabuf_release(struct dma_buf *dmabuf)
{
	bar_dmabuf_free(dmabuf->priv);
}

static const struct dma_buf_ops bar_dmabuf_ops = {
	.attach		= bar_dmabuf_attach,
	.map_dma_buf	= bar_dmabuf_map_dma,
	.unmap_dma_buf	= bar_dmabuf_unmap_dma,
	.mmap		= bar_dmabuf_mmap,
	.release	= bar_dmabuf_release,
};

/* Zaps all mappings in the VFIO inode at the buffer's offsets; those still valid fault again. */
void bar_dmabuf_zap(struct dmabuf_vfio_device *dev, u64 size)
{
	unmap_mapping_range(dev->core.vdev.inode->i_mapping, 0, size, true);
}

/* Checks in the order of the v2 series: first the shape of all ranges, then their place. */
static int bar_dmabuf_check_ranges(struct bar_dmabuf *buf, u64 bar_len)
{
	const struct vfio_region_dma_range *range;
	u64 addr, end;
	u32 i;

	for (i = 0; i < buf->nr_ranges; i++) {
		range = &buf->ranges[i];
		if (!range->length || !PAGE_ALIGNED(range->offset) || !PAGE_ALIGNED(range->length))
			return -EINVAL;
		if (check_add_overflow(buf->size, range->length, &buf->size))
			return -EINVAL;
	}
	if (buf->size > BAR_DMABUF_MAX_SIZE)
		return -EINVAL;

	for (i = 0; i < buf->nr_ranges; i++) {
		range = &buf->ranges[i];
		if (check_add_overflow((u64)buf->bar_start, range->offset, &addr) ||
		    check_add_overflow(addr, range->length, &end))
			return -EOVERFLOW;
		if (end > (u64)buf->bar_start + bar_len)
			return -EINVAL;
	}
	return 0;
}

/* A buffer that nobody else knows yet. */
static struct bar_dmabuf *bar_dmabuf_alloc(struct dmabuf_vfio_device *dev, unsigned int bar,
					   const struct vfio_region_dma_range __user *ranges,
					   u32 nr_ranges)
{
	struct pci_dev *pdev = dev->core.pdev;
	struct bar_dmabuf *buf;
	int ret;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return ERR_PTR(-ENOMEM);

	get_device(&dev->core.vdev.device);
	buf->dev = dev;
	/* No close of the device, which ends the session, can come while it is in use. */
	buf->session = READ_ONCE(dev->session);
	buf->memattr = VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_NC;
	buf->bar_start = pci_resource_start(pdev, bar);
	buf->nr_ranges = nr_ranges;
	buf->ranges = memdup_array_user(ranges, nr_ranges, sizeof(*ranges));
	if (IS_ERR(buf->ranges)) {
		ret = PTR_ERR(buf->ranges);
		buf->ranges = NULL;
		goto err_free;
	}

	ret = bar_dmabuf_check_ranges(buf, pci_resource_len(pdev, bar));
	if (ret)
		goto err_free;
	return buf;

err_free:
	bar_dmabuf_free(buf);
	return ERR_PTR(ret);
}

/* The DMABUF of a buffer; owns the buffer from here on, also when that fails. */
static struct dma_buf *bar_dmabuf_create(struct bar_dmabuf *buf, unsigned int bar, u32 open_flags)
{
	struct dmabuf_vfio_device *dev = buf->dev;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	char *name;

	name = kasprintf(GFP_KERNEL, "%s/bar%u", pci_name(dev->core.pdev), bar);
	if (!name) {
		bar_dmabuf_free(buf);
		return ERR_PTR(-ENOMEM);
	}

	info.exp_name = "dmabuf-vfio-pci";
	info.ops = &bar_dmabuf_ops;
	info.size = buf->size;
	info.flags = open_flags;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		kfree(name);
		bar_dmabuf_free(buf);
		return dmabuf;
	}

	/* Shown by /proc/PID/maps, until user space sets another with DMA_BUF_SET_NAME. */
	spin_lock(&dmabuf->name_lock);
	dmabuf->name = name;
	spin_unlock(&dmabuf->name_lock);

	/*
	 * Maps the buffer in the VFIO inode, as a BAR mapped through the device file is. So the
	 * core zaps it at reset, hot reset, memory disable and D3 without knowing of it.
	 */
	dmabuf->file->f_mapping = dev->core.vdev.inode->i_mapping;
	return dmabuf;
}

int bar_dmabuf_feature_export(struct dmabuf_vfio_device *dev, u32 flags,
			      struct vfio_device_feature_dma_buf __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_buf get;
	struct bar_dmabuf *buf;
	struct dma_buf *dmabuf;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(get));
	if (ret != 1)
		return ret;

	if (copy_from_user(&get, arg, sizeof(get)))
		return -EFAULT;
	if (!get.nr_ranges || get.flags)
		return -EINVAL;
	if (get.region_index >= VFIO_PCI_ROM_REGION_INDEX ||
	    !compat_bar_claimed(&dev->core, get.region_index))
		return -ENODEV;
	/* False for I/O ports, and for a BAR that shares its page with something else. */
	if (!dev->core.bar_mmap_supported[get.region_index])
		return -EINVAL;

	buf = bar_dmabuf_alloc(dev, get.region_index, arg->dma_ranges, get.nr_ranges);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	dmabuf = bar_dmabuf_create(buf, get.region_index, get.open_flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	ret = dma_buf_fd(dmabuf, get.open_flags);
	if (ret < 0)
		dma_buf_put(dmabuf);
	return ret;
}

/* EBADF: no open file, EINVAL: no DMABUF, ENODEV: not exported by this device. */
static struct dma_buf *bar_dmabuf_get(struct dmabuf_vfio_device *dev, int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);

	if (IS_ERR(dmabuf))
		return dmabuf;
	if (dmabuf->ops != &bar_dmabuf_ops || ((struct bar_dmabuf *)dmabuf->priv)->dev != dev) {
		dma_buf_put(dmabuf);
		return ERR_PTR(-ENODEV);
	}
	return dmabuf;
}

static bool bar_dmabuf_is_orphan(struct bar_dmabuf *buf)
{
	bool orphaned;

	down_read(&buf->dev->lock);
	orphaned = bar_dmabuf_orphaned(buf);
	up_read(&buf->dev->lock);
	return orphaned;
}

/* ops and unsupported, a negative errno, are those of the interface's form. */
int bar_dmabuf_feature_memattr(struct dmabuf_vfio_device *dev, u32 flags, u32 ops, int unsupported,
			       struct vfio_device_feature_dma_buf_memattr __user *arg,
			       size_t argsz)
{
	struct vfio_device_feature_dma_buf_memattr attr;
	struct bar_dmabuf *buf;
	struct dma_buf *dmabuf;
	int ret;

	ret = vfio_check_feature(flags, argsz, ops, sizeof(attr));
	if (ret != 1)
		return ret;

	if (copy_from_user(&attr, arg, sizeof(attr)))
		return -EFAULT;

	dmabuf = bar_dmabuf_get(dev, attr.dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	buf = dmabuf->priv;

	if (bar_dmabuf_is_orphan(buf)) {
		ret = -ENODEV;
	} else if (!(flags & VFIO_DEVICE_FEATURE_SET)) {
		attr.memattr = READ_ONCE(buf->memattr);
		ret = copy_to_user(arg, &attr, sizeof(attr)) ? -EFAULT : 0;
	} else if (bar_dmabuf_memattr_supported(attr.memattr)) {
		WRITE_ONCE(buf->memattr, attr.memattr);
		ret = 0;
	} else {
		ret = unsupported;
	}
	dma_buf_put(dmabuf);
	return ret;
}

static int bar_dmabuf_revoke(struct dmabuf_vfio_device *dev, int fd)
{
	struct bar_dmabuf *buf;
	struct dma_buf *dmabuf;
	int ret = 0;

	dmabuf = bar_dmabuf_get(dev, fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	buf = dmabuf->priv;

	down_write(&dev->lock);
	if (bar_dmabuf_orphaned(buf))
		ret = -ENODEV;
	else if (buf->revoked)
		ret = -EBADFD;
	else
		buf->revoked = true;
	up_write(&dev->lock);

	if (!ret)
		bar_dmabuf_zap(dev, buf->size);
	dma_buf_put(dmabuf);
	return ret;
}

int bar_dmabuf_ioctl_revoke(struct dmabuf_vfio_device *dev,
			    struct vfio_pci_dmabuf_revoke __user *arg)
{
	struct vfio_pci_dmabuf_revoke revoke;

	if (copy_from_user(&revoke, arg, sizeof(revoke)))
		return -EFAULT;
	if (revoke.argsz < sizeof(revoke))
		return -EINVAL;
	return bar_dmabuf_revoke(dev, revoke.dmabuf_fd);
}

int bar_dmabuf_feature_revoke(struct dmabuf_vfio_device *dev, u32 flags,
			      struct vfio_device_feature_dma_buf_revoke __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_buf_revoke revoke;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, sizeof(revoke));
	if (ret != 1)
		return ret;

	if (copy_from_user(&revoke, arg, sizeof(revoke)))
		return -EFAULT;
	return bar_dmabuf_revoke(dev, revoke.dmabuf_fd);
}

// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * vfio-pci with DMABUFs of BAR slices that can be mapped, given a memory attribute, and revoked.
 * Everything else is left to vfio-pci-core.
 */

#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>

#include "compat.h"
#include "dmabuf_vfio_pci.h"

static bool enable_sriov;
module_param(enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov, "Let a bound PF have VFs, which the user of the PF then controls");

static bool revoke_feature;
module_param(revoke_feature, bool, 0444);
MODULE_PARM_DESC(revoke_feature,
		 "Offer REVOKE as feature 13 and MEMATTR as 14, as later forms of the uAPI do");

static bool p2p_export;
module_param(p2p_export, bool, 0644);
MODULE_PARM_DESC(p2p_export,
		 "Export DMABUFs for peer-to-peer, not to be mapped or revoked, as vfio-pci does");

static int dmabuf_vfio_init_dev(struct vfio_device *vdev)
{
	struct dmabuf_vfio_device *dev = to_dmabuf_vfio_device(vdev);

	init_rwsem(&dev->lock);
	compat_enable_core_export(&dev->core);
	return vfio_pci_core_init_dev(vdev);
}

static int dmabuf_vfio_open_device(struct vfio_device *vdev)
{
	struct dmabuf_vfio_device *dev = to_dmabuf_vfio_device(vdev);
	int ret;

	ret = vfio_pci_core_enable(&dev->core);
	if (ret)
		return ret;

	compat_claim_bars(&dev->core);
	vfio_pci_core_finish_enable(&dev->core);
	return 0;
}

static void dmabuf_vfio_close_device(struct vfio_device *vdev)
{
	struct dmabuf_vfio_device *dev = to_dmabuf_vfio_device(vdev);

	/* Before the core frees what the fault handler reads: it does not zap at close itself. */
	down_write(&dev->lock);
	dev->session++;
	up_write(&dev->lock);
	bar_dmabuf_zap(dev, BAR_DMABUF_MAX_SIZE);
	vfio_pci_core_close_device(vdev);
}

static long dmabuf_vfio_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	if (cmd == VFIO_DEVICE_PCI_DMABUF_REVOKE && !revoke_feature)
		return bar_dmabuf_ioctl_revoke(to_dmabuf_vfio_device(vdev), (void __user *)arg);

	return vfio_pci_core_ioctl(vdev, cmd, arg);
}

/* Features 13 and 14 of v3 and v4 of the series. */
static int dmabuf_vfio_feature_v3(struct dmabuf_vfio_device *dev, u32 flags, void __user *arg,
				  size_t argsz)
{
	if ((flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3)
		return bar_dmabuf_feature_revoke(dev, flags, arg, argsz);

	return bar_dmabuf_feature_memattr(dev, flags, VFIO_DEVICE_FEATURE_SET, -ENOENT, arg, argsz);
}

static int dmabuf_vfio_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct dmabuf_vfio_device *dev = to_dmabuf_vfio_device(vdev);

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		if (READ_ONCE(p2p_export))
			break;
		return bar_dmabuf_feature_export(dev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR:
		if (revoke_feature)
			return dmabuf_vfio_feature_v3(dev, flags, arg, argsz);
		return bar_dmabuf_feature_memattr(dev, flags, VFIO_DEVICE_FEATURE_GET |
						  VFIO_DEVICE_FEATURE_SET, -EOPNOTSUPP, arg, argsz);
	case VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3:
		if (revoke_feature)
			return dmabuf_vfio_feature_v3(dev, flags, arg, argsz);
		break;
	}
	return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
}

static const struct vfio_device_ops dmabuf_vfio_ops = {
	.name		= "dmabuf-vfio-pci",
	.init		= dmabuf_vfio_init_dev,
	.release	= vfio_pci_core_release_dev,
	.open_device	= dmabuf_vfio_open_device,
	.close_device	= dmabuf_vfio_close_device,
	.ioctl		= dmabuf_vfio_ioctl,
	.device_feature	= dmabuf_vfio_feature,
	.read		= vfio_pci_core_read,
	.write		= vfio_pci_core_write,
	.mmap		= vfio_pci_core_mmap,
	.request	= vfio_pci_core_request,
	.match		= vfio_pci_core_match,
	.bind_iommufd	= vfio_iommufd_physical_bind,
	.unbind_iommufd	= vfio_iommufd_physical_unbind,
	.attach_ioas	= vfio_iommufd_physical_attach_ioas,
	.detach_ioas	= vfio_iommufd_physical_detach_ioas,
	COMPAT_REGION_INFO_CAPS
	COMPAT_MATCH_TOKEN_UUID
	COMPAT_PASID_ATTACH
};

static int dmabuf_vfio_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct dmabuf_vfio_device *dev;
	int ret;

	dev = vfio_alloc_device(dmabuf_vfio_device, core.vdev, &pdev->dev, &dmabuf_vfio_ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	/* The core takes its own structure from here. */
	dev_set_drvdata(&pdev->dev, &dev->core);
	ret = vfio_pci_core_register_device(&dev->core);
	if (ret)
		vfio_put_device(&dev->core.vdev);
	return ret;
}

static void dmabuf_vfio_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static int dmabuf_vfio_sriov_configure(struct pci_dev *pdev, int nr_vfs)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	if (!enable_sriov)
		return -ENOENT;

	return vfio_pci_core_sriov_configure(core, nr_vfs);
}

/*
 * Around every reset of the function, also one that did not start here: through sysfs, or with
 * another device of its bus. Memory decoding goes off at once then, without a word to the core.
 * The PCI core holds the device's lock over both calls.
 */
static void dmabuf_vfio_set_resetting(struct pci_dev *pdev, bool resetting)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);
	struct dmabuf_vfio_device *dev = to_dmabuf_vfio_device(&core->vdev);

	down_write(&dev->lock);
	dev->resetting = resetting;
	up_write(&dev->lock);
	if (resetting)
		bar_dmabuf_zap(dev, BAR_DMABUF_MAX_SIZE);
}

static void dmabuf_vfio_reset_prepare(struct pci_dev *pdev)
{
	dmabuf_vfio_set_resetting(pdev, true);
}

static void dmabuf_vfio_reset_done(struct pci_dev *pdev)
{
	dmabuf_vfio_set_resetting(pdev, false);
}

static const struct pci_error_handlers dmabuf_vfio_err_handlers = {
	.error_detected	= vfio_pci_core_aer_err_detected,
	.reset_prepare	= dmabuf_vfio_reset_prepare,
	.reset_done	= dmabuf_vfio_reset_done,
};

/*
 * Any device, but only one whose driver_override names this driver. Not published with
 * MODULE_DEVICE_TABLE(): tools that choose a vfio driver by its "vfio_pci:" alias would find a
 * second one that matches everything.
 */
static const struct pci_device_id dmabuf_vfio_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{ }
};

static struct pci_driver dmabuf_vfio_driver = {
	.name			= "dmabuf-vfio-pci",
	.id_table		= dmabuf_vfio_ids,
	.probe			= dmabuf_vfio_probe,
	.remove			= dmabuf_vfio_remove,
	.sriov_configure	= dmabuf_vfio_sriov_configure,
	.err_handler		= &dmabuf_vfio_err_handlers,
	.driver_managed_dma	= true,
};
module_pci_driver(dmabuf_vfio_driver);

MODULE_DESCRIPTION("VFIO for PCI devices, with mappable and revocable DMABUFs of BAR slices");
MODULE_AUTHOR("The dpdk-bar-lease authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");

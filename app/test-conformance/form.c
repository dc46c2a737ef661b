/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/* The form of the interface: how it is told, and what it has and has not. */

#include <sys/ioctl.h>

#include "conformance.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

enum form form;

static int
probe(uint32_t ops, uint32_t feature)
{
	return feature_op(&target.dev, PROBE | ops | feature, NULL, 0);
}

void
form_detect(void)
{
	bool get, set;

	if (probe(GET, VFIO_DEVICE_FEATURE_DMA_BUF))
		tap_bail_out("%s: its driver exports no DMABUFs", target.dev.bdf);
	get = probe(GET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR) == 0;
	set = probe(SET, VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3) == 0;
	if (!set)
		tap_bail_out("%s: its driver revokes no DMABUFs", target.dev.bdf);
	form = get ? FORM_V2 : FORM_LATER;
}

const char *
form_name(void)
{
	return form == FORM_V2 ? "version 2 of the series (revoke by ioctl)" :
	       "the later form (revoke by feature 13)";
}

int
form_unsupported(void)
{
	return form == FORM_V2 ? EOPNOTSUPP : ENOENT;
}

static void
v2_has_no_14(const void *arg)
{
	CHECK_ERRNO(probe(SET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3), ENOTTY);
	CHECK_ERRNO(probe(GET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3), ENOTTY);
}

static void
v2_probes(const void *arg)
{
	CHECK_OK(probe(0, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR));
	CHECK_OK(probe(GET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR));
	CHECK_OK(probe(SET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR));
	CHECK_OK(probe(GET | SET, VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR));
}

static void
later_has_no_ioctl(const void *arg)
{
	struct vfio_pci_dmabuf_revoke call = { .argsz = sizeof(call), .dmabuf_fd = -1 };

	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call), ENOTTY);
	/* Also with a buffer, which lives on. */
	call.dmabuf_fd = new_slice(0, 1);
	CHECK_ERRNO(ioctl(target.dev.fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call), ENOTTY);
	CHECK(map_errno(call.dmabuf_fd, target.page, PROT_READ, MAP_SHARED, 0) == 0);
	close(call.dmabuf_fd);
}

static void
later_sets_only(const void *arg)
{
	const uint32_t *feature = arg;

	CHECK_OK(probe(0, *feature));
	CHECK_OK(probe(SET, *feature));
	CHECK_ERRNO(probe(GET, *feature), EINVAL);
	CHECK_ERRNO(probe(GET | SET, *feature), EINVAL);
}

static const uint32_t revoke_later = VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3;
static const uint32_t memattr_later = VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3;

static const struct test_case cases[] = {
	{ .rule = "feature 13 probes for GET and SET", .run = v2_probes, .form = FORM_V2 },
	{ .rule = "no feature 14: ENOTTY", .run = v2_has_no_14, .form = FORM_V2 },
	{ .rule = "no ioctl to revoke: ENOTTY", .run = later_has_no_ioctl, .form = FORM_LATER },
	{ .rule = "feature 13 probes for SET only", .run = later_sets_only,
	  .arg = &revoke_later, .form = FORM_LATER },
	{ .rule = "feature 14 probes for SET only", .run = later_sets_only,
	  .arg = &memattr_later, .form = FORM_LATER },
};

const struct subject form_subject = SUBJECT("form", cases);

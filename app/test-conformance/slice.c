/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <dirent.h>
#include <linux/udmabuf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "conformance.h"

int
export(const struct export_args *args)
{
	struct {
		uint32_t argsz, feature;
		uint32_t region_index, open_flags, flags, nr_ranges;
		struct vfio_region_dma_range ranges[MAX_RANGES];
	} call = {
		.argsz = offsetof(__typeof__(call), ranges) +
			 (args->nr_ranges <= MAX_RANGES ? args->nr_ranges : MAX_RANGES) *
			 sizeof(args->ranges[0]),
		.feature = args->op | VFIO_DEVICE_FEATURE_DMA_BUF,
		.region_index = args->region,
		.open_flags = args->open_flags,
		.flags = args->flags,
		.nr_ranges = args->nr_ranges,
	};

	if (args->argsz)
		call.argsz = args->argsz;
	memcpy(call.ranges, args->ranges, sizeof(call.ranges));
	return ioctl(target.dev.fd, VFIO_DEVICE_FEATURE, &call);
}

int
export_pages(uint64_t first, uint64_t nr)
{
	struct export_args args = {
		.op = VFIO_DEVICE_FEATURE_GET,
		.region = target.bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { .offset = first * target.page, .length = nr * target.page } },
	};

	return export(&args);
}

int
new_slice(uint64_t first, uint64_t nr)
{
	int fd;

	SKIP_IF((first + nr) * target.page > target.bar_size, "the BAR has too few pages");
	fd = export_pages(first, nr);
	CHECK_OK(fd);
	return fd;
}

int
feature_op(struct vfio_dev *dev, uint32_t flags, const void *payload, size_t size)
{
	struct {
		uint32_t argsz, flags;
		char payload[64];
	} call = { .argsz = offsetof(__typeof__(call), payload) + size, .flags = flags };

	if (size)
		memcpy(call.payload, payload, size);
	return ioctl(dev->fd, VFIO_DEVICE_FEATURE, &call);
}

int
memattr_op(struct vfio_dev *dev, unsigned int op, int fd, uint32_t *memattr)
{
	struct {
		uint32_t argsz, feature;
		struct vfio_device_feature_dma_buf_memattr attr;
	} call = {
		.argsz = sizeof(call),
		.feature = op | (form == FORM_V2 ? VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR :
				 VFIO_DEVICE_FEATURE_DMA_BUF_MEMATTR_V3),
		.attr = { .dmabuf_fd = fd, .memattr = *memattr },
	};
	int ret = ioctl(dev->fd, VFIO_DEVICE_FEATURE, &call);

	*memattr = call.attr.memattr;
	return ret;
}

int
memattr_set(int fd, uint32_t memattr)
{
	return memattr_op(&target.dev, VFIO_DEVICE_FEATURE_SET, fd, &memattr);
}

int
memattr_get(int fd, uint32_t *memattr)
{
	*memattr = UINT32_MAX;
	return memattr_op(&target.dev, VFIO_DEVICE_FEATURE_GET, fd, memattr);
}

int
revoke_slice(struct vfio_dev *dev, int fd)
{
	struct vfio_pci_dmabuf_revoke call = { .argsz = sizeof(call), .dmabuf_fd = fd };
	struct vfio_device_feature_dma_buf_revoke payload = { .dmabuf_fd = fd };

	if (form == FORM_LATER)
		return feature_op(dev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE_V3, &payload,
				  sizeof(payload));
	return ioctl(dev->fd, VFIO_DEVICE_PCI_DMABUF_REVOKE, &call);
}

volatile uint32_t *
map_pages(int fd, uint64_t nr)
{
	void *address = mmap(NULL, nr * target.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK_OK(address == MAP_FAILED ? -1 : 0);
	return address;
}

int
map_errno(int fd, size_t length, int prot, int flags, off_t offset)
{
	void *address = mmap(NULL, length, prot, flags, fd, offset);

	if (address == MAP_FAILED)
		return errno;
	munmap(address, length);
	return 0;
}

void
unmap_pages(const volatile uint32_t *mapping, uint64_t nr)
{
	munmap((void *)(uintptr_t)mapping, nr * target.page);
}

volatile uint32_t *
page_of(volatile uint32_t *mapping, uint64_t nr)
{
	return mapping + nr * target.page / sizeof(*mapping);
}

struct pair
pair_new(void)
{
	struct pair pair = { .live_fd = new_slice(0, 1), .dead_fd = new_slice(0, 1) };

	pair.live = map_pages(pair.live_fd, 1);
	pair.dead = map_pages(pair.dead_fd, 1);
	CHECK_TOUCH_WORKS(pair.live);
	CHECK_TOUCH_WORKS(pair.dead);
	CHECK_OK(revoke_slice(&target.dev, pair.dead_fd));
	return pair;
}

void
pair_free(struct pair *pair)
{
	unmap_pages(pair->live, 1);
	unmap_pages(pair->dead, 1);
	close(pair->live_fd);
	close(pair->dead_fd);
}

int
foreign_dmabuf(void)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = target.page };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int fd;

	if (device < 0)
		return -1;
	create.memfd = memfd_create("conformance", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	CHECK_OK(ftruncate(create.memfd, create.size));
	CHECK_OK(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	fd = ioctl(device, UDMABUF_CREATE, &create);
	close(create.memfd);
	close(device);
	return fd;
}

int
import_errno(int fd)
{
	int importer = open("/proc/dmabuf_importer", O_WRONLY | O_CLOEXEC);
	char text[16];
	int length, ret;

	if (importer < 0)
		return -1;
	length = snprintf(text, sizeof(text), "%d", fd);
	ret = write(importer, text, length) == length ? 0 : errno;
	close(importer);
	return ret;
}

int
count_buffers(void)
{
	FILE *file = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[256], exporter[32];
	int count = 0;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %*s %*s %*s %31s", exporter) == 1 &&
		    strcmp(exporter, "dmabuf-vfio-pci") == 0)
			count++;
	fclose(file);
	return count;
}

int
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	CHECK(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	/* Without . and .. and the descriptor of the folder itself. */
	return count - 3;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "fake_machine.h"

static char root[] = "/tmp/vfio_device_test.XXXXXX";
char fake_sysfs[sizeof(root) + sizeof("/sys")];
char fake_nodes[sizeof(root) + sizeof("/dev/vfio")];
struct fake_kernel fake;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

static void
full_path(char *full, const char *path)
{
	char *slash;

	assert_in_range(snprintf(full, PATH_MAX, "%s/%s", root, path), 1, PATH_MAX - 1);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

void
fake_file(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	full_path(full, path);
	file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void
fake_link(const char *path, const char *target)
{
	char full[PATH_MAX];

	full_path(full, path);
	assert_return_code(symlink(target, full), errno);
}

void
fake_remove(const char *path)
{
	char full[PATH_MAX];

	full_path(full, path);
	assert_return_code(unlink(full), errno);
}

void
fake_device(const char *address, const char *driver, int group)
{
	char path[PATH_MAX / 2], target[PATH_MAX / 2];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/numa_node", address);
	fake_file(path, "1\n");
	if (driver != NULL) {
		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", address);
		snprintf(target, sizeof(target), "../../drivers/%s", driver);
		fake_link(path, target);
	}
	if (group >= 0) {
		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", address);
		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
		fake_link(path, target);
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group,
			 address);
		fake_file(path, "");
	}
}

void
fake_register_vfio(const char *address)
{
	char path[PATH_MAX / 2];

	fake_file("sys/class/vfio-dev/vfio0", "");
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vfio-dev/vfio0", address);
	fake_file(path, "");
}

int
fake_machine_setup(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	sprintf(fake_sysfs, "%s/sys", root);
	sprintf(fake_nodes, "%s/dev/vfio", root);
	fake_file("dev/vfio/vfio", "");
	memset(&fake, 0, sizeof(fake));
	fake.api_version = VFIO_API_VERSION;
	fake.has_type1v2 = 1;
	fake.viable = 1;
	fake.resettable = 1;
	fake.device_file = memfd_create("device", MFD_CLOEXEC);
	return ftruncate(fake.device_file, FAKE_CONFIG_OFFSET + 0x1000);
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

int
fake_machine_teardown(void **state)
{
	(void)state;
	close(fake.device_file);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where a descriptor leads, relative to the root of the machine; NULL when it leads elsewhere. */
static const char *
path_of(int fd, char *path)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	if (length < 0)
		return NULL;
	path[length] = '\0';
	if (strncmp(path, root, strlen(root)) == 0)
		return path + strlen(root);
	return strcmp(path, "/memfd:device (deleted)") == 0 ? "device" : NULL;
}

void
fake_config(uint32_t offset, const void *data, size_t length)
{
	assert_int_equal(pwrite(fake.device_file, data, length, FAKE_CONFIG_OFFSET + offset),
			 length);
}

void
fake_config_byte(uint32_t offset, uint8_t value)
{
	fake_config(offset, &value, 1);
}

unsigned int
fake_open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned int count = 0;
	char path[PATH_MAX];

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.' && path_of(atoi(entry->d_name), path) != NULL)
			count++;
	closedir(folder);
	return count - 1; /* fake.device_file */
}

static int
answer(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int
__wrap_open64(const char *path, int flags, ...)
{
	const char *name = strrchr(path, '/');

	if (strncmp(path, fake_nodes, strlen(fake_nodes)) != 0)
		return __real_open64(path, flags, 0);
	/* VFIO's descriptors must not reach what this process executes. */
	assert_true(flags & O_CLOEXEC);
	if (fake.open_group_errno != 0 && strcmp(name, "/vfio") != 0)
		return answer(fake.open_group_errno);
	return __real_open64(path, flags);
}

static int
answer_region(struct vfio_region_info *info)
{
	struct vfio_info_cap_header cap = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP };

	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info->size = 0;
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info->size = 0x1000;
		info->offset = FAKE_CONFIG_OFFSET;
	} else if (info->index == VFIO_PCI_BAR4_REGION_INDEX) {
		info->size = FAKE_BAR_SIZE;
		info->offset = FAKE_BAR_OFFSET;
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		if (!fake.sparse)
			cap.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
		if (info->argsz >= sizeof(*info) + sizeof(cap)) {
			info->cap_offset = sizeof(*info);
			memcpy(info + 1, &cap, sizeof(cap));
		} else {
			info->argsz = sizeof(*info) + sizeof(cap);
		}
	} else if (info->index == VFIO_PCI_BAR0_REGION_INDEX) {
		info->size = 0x20; /* I/O ports */
	}
	return 0;
}

static int
answer_map(const struct vfio_iommu_type1_dma_map *map)
{
	if (fake.map_errno != 0)
		return answer(fake.map_errno);
	fake.map_address = map->vaddr;
	fake.map_iova = map->iova;
	fake.map_size = map->size;
	fake.map_flags = map->flags;
	return 0;
}

static int
answer_unmap(struct vfio_iommu_type1_dma_unmap *unmap)
{
	if (fake.unmap_errno != 0)
		return answer(fake.unmap_errno);
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		assert_int_equal(unmap->iova, 0);
		assert_int_equal(unmap->size, 0);
		fake.unmap_alls++;
		return 0;
	}
	fake.unmap_iova = unmap->iova;
	fake.unmap_size = unmap->size;
	unmap->size = fake.unmapped;
	return 0;
}

static int
answer_irqs(const struct vfio_irq_set *set)
{
	if (fake.irqs_errno != 0)
		return answer(fake.irqs_errno);
	fake.irq_calls++;
	fake.irq_index = set->index;
	fake.irq_flags = set->flags;
	fake.irq_start = set->start;
	fake.irq_count = set->count;
	assert_in_range(set->count, 0, FAKE_MAX_IRQS);
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		assert_int_equal(set->argsz, sizeof(*set) + set->count * sizeof(int));
		memcpy(fake.irq_fds, set->data, set->count * sizeof(int));
	} else {
		assert_int_equal(set->count, 0);
		fake.msix_disables++;
	}
	return 0;
}

static int
answer_container(unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return fake.api_version;
	case VFIO_CHECK_EXTENSION:
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU && fake.has_type1v2;
	case VFIO_SET_IOMMU:
		assert_int_equal((uintptr_t)arg, VFIO_TYPE1v2_IOMMU);
		return answer(fake.set_iommu_errno);
	case VFIO_IOMMU_MAP_DMA:
		return answer_map(arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return answer_unmap(arg);
	default:
		return answer(ENOTTY);
	}
}

static int
answer_group(unsigned long request, void *arg)
{
	char path[PATH_MAX];

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags =
			fake.viable ? VFIO_GROUP_FLAGS_VIABLE : 0;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		assert_string_equal(path_of(*(int *)arg, path), "/dev/vfio/vfio");
		return answer(fake.set_container_errno);
	case VFIO_GROUP_GET_DEVICE_FD:
		if (fake.device_fd_errno != 0)
			return answer(fake.device_fd_errno);
		return fcntl(fake.device_file, F_DUPFD_CLOEXEC, 0);
	default:
		return answer(ENOTTY);
	}
}

static int
answer_device(unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = VFIO_DEVICE_FLAGS_PCI;
		if (fake.resettable)
			info->flags |= VFIO_DEVICE_FLAGS_RESET;
		return answer(fake.device_info_errno);
	case VFIO_DEVICE_GET_REGION_INFO:
		return answer_region(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		((struct vfio_irq_info *)arg)->count = FAKE_MAX_IRQS;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return answer_irqs(arg);
	case VFIO_DEVICE_RESET:
		fake.resets++;
		return 0;
	default:
		return answer(ENOTTY);
	}
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	char buffer[PATH_MAX];
	const char *path;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	path = path_of(fd, buffer);
	if (path == NULL)
		return answer(EBADF);
	if (strcmp(path, "device") == 0)
		return answer_device(request, arg);
	if (strcmp(path, "/dev/vfio/vfio") == 0)
		return answer_container(request, arg);
	return answer_group(request, arg);
}

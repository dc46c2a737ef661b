/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio_dmabuf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * tap.c: cases, and how they end. A case that returns has passed. The macros leave the case at
 * once; what it has open then stays open, which costs nothing but the descriptors.
 */
struct test_case {
	const char *rule;
	void (*run)(const void *arg);
	const void *arg;
	/* Of one form of the interface only; 0: of both. */
	unsigned int form;
};

struct subject {
	const char *name;
	const struct test_case *cases;
	size_t nr_cases;
};

#define SUBJECT(name_, cases_) \
	{ .name = (name_), .cases = (cases_), .nr_cases = sizeof(cases_) / sizeof((cases_)[0]) }

extern const struct subject form_subject, export_subject, mmap_subject, memattr_subject,
	revoke_subject, huge_subject, argument_subject, limit_subject, device_subject,
	reset_subject, departure_subject;

/* Run only cases whose line, "subject: rule", has this part. */
void tap_select(const char *part);
bool tap_run(const struct subject *const *subjects, size_t nr_subjects);
_Noreturn void tap_bail_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tap_diagnose(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void tap_skip(const char *reason);
_Noreturn void tap_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What a call returned against what it should: errno value, 0 for success. */
void tap_check_errno(const char *file, int line, const char *call, long ret, int expected);

#define SKIP_IF(condition, reason) do { if (condition) tap_skip(reason); } while (0)
#define CHECK(condition) \
	do { if (!(condition)) tap_fail(__FILE__, __LINE__, "%s", #condition); } while (0)
#define CHECK_OK(call) tap_check_errno(__FILE__, __LINE__, #call, (call), 0)
#define CHECK_ERRNO(call, expected) \
	tap_check_errno(__FILE__, __LINE__, #call, (call), (expected))

/* device.c: a VFIO device in a container of its own. */
struct vfio_dev {
	char bdf[16];
	int container, group, fd;
};

/* The device and the BAR under test. */
struct target {
	struct vfio_dev dev;
	unsigned int bar;
	uint64_t bar_size;
	/* Where the BAR is for the VFIO device file, and for the processor. */
	uint64_t region_offset, bar_phys;
	uint64_t config_offset;
	size_t page;
};

extern struct target target;
/* Another VFIO device, or fd -1. */
extern struct vfio_dev other;

/* These end the program if they fail. dev->bdf is set before. */
void vfio_open(struct vfio_dev *dev);
void vfio_close(struct vfio_dev *dev);
void vfio_open_device_file(struct vfio_dev *dev);
void target_open(const char *bdf, unsigned int bar);
/* The BAR may have moved: after the device was taken off its bus. */
void target_find_bar(void);
int vfio_group_of(const char *bdf);
int region_size(struct vfio_dev *dev, unsigned int region, uint64_t *size, uint64_t *offset);
/* An eventfd that VFIO signals on the interrupt of that index, or -1. */
int device_eventfd(unsigned int index);
/* 0, or -1 and errno; a device without the feature is a reason to skip. */
int device_reset(void);
bool device_has_reset(void);
int device_feature_set(uint32_t feature);

/* sysfs.c: the device from the side of the administrator. */
bool vfio_can_rebind(const struct vfio_dev *dev);
void vfio_unbind(const struct vfio_dev *dev);
void vfio_bind(const struct vfio_dev *dev);
/* -1 and errno if it fails. The name is one in the folder of the device. */
int sysfs_write(const char *bdf, const char *name, const char *text);
bool sysfs_exists(const char *bdf, const char *name);
/* Whether a file of the device begins with text. */
bool sysfs_says(const char *bdf, const char *name, const char *text);
void driver_name(const char *bdf, char *name, size_t size);
/* Looks for devices anew; the one of this name gets that driver. */
void rescan(const char *bdf, const char *driver);
/* Of the driver under test: its value, or -1 if it has no such parameter. */
int driver_parameter(const char *bdf, const char *parameter);
int driver_set_parameter(const char *bdf, const char *parameter, bool value);

/* config.c: configuration space. */
uint16_t config_read(unsigned int reg);
void memory_decode(bool on);
/* The same for threads, which cannot end a case: -1 if it fails. */
int memory_decode_try(bool on);
bool has_power_management(void);
/* Whether the kernel finds it so after a bus reset; the port above tells, by way of sysfs. */
bool upstream_link_active(const char *bdf);
void power_state(unsigned int d);

/*
 * form.c: the interface comes in two forms, told apart by PROBE alone. FORM_V2: version 2 of the
 * series, an ioctl revokes and feature 13 is MEMATTR. FORM_LATER: versions 3 and 4, feature 13
 * revokes and 14 is MEMATTR.
 */
enum form { FORM_V2 = 1, FORM_LATER = 2 };

extern enum form form;

void form_detect(void);
const char *form_name(void);
/* For a memory attribute that the kernel does not know or cannot give. */
int form_unsupported(void);

/* slice.c: buffers. All as the system call: -1 and errno. */
#define MAX_RANGES 4

struct export_args {
	unsigned int op;
	uint32_t region, open_flags, flags, nr_ranges;
	struct vfio_region_dma_range ranges[MAX_RANGES];
	/* Of the ioctl; 0: as large as nr_ranges needs */
	uint32_t argsz;
};

int export(const struct export_args *args);
/* One range of the BAR under test, read-write, close on exec. */
int export_pages(uint64_t first, uint64_t nr);
/* The same, and it must work. */
int new_slice(uint64_t first, uint64_t nr);
/* Any feature, with its payload: the result of the ioctl. */
int feature_op(struct vfio_dev *dev, uint32_t flags, const void *payload, size_t size);
int memattr_op(struct vfio_dev *dev, unsigned int op, int fd, uint32_t *memattr);
int memattr_set(int fd, uint32_t memattr);
int memattr_get(int fd, uint32_t *memattr);
int revoke_slice(struct vfio_dev *dev, int fd);
/* Shared, read and write, from the start; it must work. */
volatile uint32_t *map_pages(int fd, uint64_t nr);
int map_errno(int fd, size_t length, int prot, int flags, off_t offset);
void unmap_pages(const volatile uint32_t *mapping, uint64_t nr);
volatile uint32_t *page_of(volatile uint32_t *mapping, uint64_t nr);

/* One live and one revoked buffer of the same page, both mapped. */
struct pair {
	int live_fd, dead_fd;
	volatile uint32_t *live, *dead;
};

struct pair pair_new(void);
void pair_free(struct pair *pair);
/* A DMABUF of another exporter, or -1. */
int foreign_dmabuf(void);
/* 0 or errno of attaching a peer-to-peer importer; -1 without the test module. */
int import_errno(int fd);
/* DMABUFs of the driver under test in the whole system, or -1 if the kernel does not tell. */
int count_buffers(void);
int count_descriptors(void);

/* touch.c: access that may fault, and the page table. */

/* 0, or the signal that the access raised. */
int touch(const volatile uint32_t *address, uint32_t *value);

#define CHECK_TOUCH_WORKS(address) CHECK(touch((address), NULL) == 0)
#define CHECK_TOUCH_SIGBUS(address) CHECK(touch((address), NULL) == SIGBUS)

struct page_entry {
	bool present, write, huge;
	unsigned long pfn;
	char type[4];
};

/* False when /proc/pte_memtype is not there. */
bool page_entry(pid_t pid, const volatile void *address, struct page_entry *entry);

/* peer.c: a forked process that maps and touches on demand. */
struct peer {
	pid_t pid;
	int socket;
};

/* The mapping is one made before the fork, or NULL. */
void peer_start(struct peer *peer, const volatile uint32_t *mapping);
/* 0, or the signal of the peer's access to its mapping. */
int peer_touch(struct peer *peer);
/* Passes the descriptor; the peer maps the first page. 0, or its errno. */
int peer_map(struct peer *peer, int fd);
void peer_stop(struct peer *peer);
/* A message, and with it a descriptor unless that is -1; the receiver sets *fd to -1 before. */
bool send_message(int socket, const void *data, size_t size, int fd);
bool receive_message(int socket, void *data, size_t size, int *fd);
void send_descriptor(int socket, int fd);
/* -1 when the other end is closed. */
int receive_descriptor(int socket);

/* background.c: a call that may block, in a thread. */
struct background {
	pthread_t thread;
	int (*call)(void *arg);
	void *arg;
	int ret;
	atomic_bool done;
};

/* The call may not end a case: it returns -errno. */
void background_start(struct background *background, int (*call)(void *arg), void *arg);
/* False if it has not returned within that time. */
bool background_wait(struct background *background, unsigned int milliseconds);
/* Whether the descriptor becomes readable within that time. */
bool readable(int fd, int milliseconds);

/* The modes of the program other than the cases. */
bool stress(unsigned int seconds);
bool scale(void);
bool fail_nth(void);
bool wait_for_error(unsigned int seconds);

#endif /* CONFORMANCE_H */

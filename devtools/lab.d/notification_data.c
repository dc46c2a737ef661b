/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */

/*
 * Loaded into QEMU: virtio devices get the property notification_data, off by default, to offer
 * VIRTIO_F_NOTIFICATION_DATA. QEMU 10.0 takes doorbells of that kind, but lets nobody offer them:
 * of the features that any virtio device may offer, this one lacks its property. So it is made in
 * the image of the property packed, which stands for another bit of the same word.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

#define VIRTIO_F_RING_PACKED 34
#define VIRTIO_F_NOTIFICATION_DATA 38

/* As in QEMU 10.0: include/qom/object.h, include/hw/qdev-properties.h. */
struct object_property {
	char *name, *type, *description;
	void *get, *set, *resolve, *release, *init;
	void *opaque;
};

struct property {
	const char *name;
	const void *info;
	ptrdiff_t offset;
	const char *link_type;
	uint64_t bitmask, defval;
	const void *arrayinfo;
	int arrayoffset, arrayfieldsize;
	uint8_t bitnr;
	_Bool set_default;
};

extern const char qdev_prop_bit64;
void *object_class_by_name(const char *name);
struct object_property *object_class_property_find(void *class, const char *name);
struct object_property *object_class_property_add(void *class, const char *name, const char *type,
						  void *get, void *set, void *release,
						  void *opaque);

void
offer_notification_data(void)
{
	static struct property property;
	const struct object_property *model;
	void *class;

	if (property.name != NULL)
		return;
	class = object_class_by_name("virtio-device");
	if (class == NULL)
		return; /* the types come later */
	model = object_class_property_find(class, "packed");
	if (model == NULL)
		abort();
	memcpy(&property, model->opaque, sizeof(property));
	if (property.info != &qdev_prop_bit64 || property.bitnr != VIRTIO_F_RING_PACKED)
		abort(); /* not the QEMU that this was written for */
	property.name = "notification_data";
	property.bitnr = VIRTIO_F_NOTIFICATION_DATA;
	object_class_property_add(class, property.name, model->type, model->get, model->set,
				  model->release, &property);
}

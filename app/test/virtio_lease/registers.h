/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef REGISTERS_H
#define REGISTERS_H

/*
 * In front of the transport's source: its registers are functions of the program, and so is the
 * time that passes while it waits for one.
 */

#include <rte_cycles.h>
#include <rte_io.h>

uint32_t register_read(const volatile void *reg, unsigned int bytes);
void register_write(uint32_t value, volatile void *reg, unsigned int bytes);
void register_wait(unsigned int us);

#define rte_read8(reg) ((uint8_t)register_read((reg), 1))
#define rte_read16(reg) ((uint16_t)register_read((reg), 2))
#define rte_read32(reg) register_read((reg), 4)
#define rte_write8(value, reg) register_write((value), (reg), 1)
#define rte_write16(value, reg) register_write((value), (reg), 2)
#define rte_write32(value, reg) register_write((value), (reg), 4)
#define rte_delay_us_sleep(us) register_wait(us)

#endif /* REGISTERS_H */

// SPDX-License-Identifier: GPL-2.0-only
/* Copyright(c) 2026 The dpdk-bar-lease authors */

/*
 * For tests only: which page, and which memory type, a process has at an address of a device
 * mapping, read from its page table. Write "PID HEXADDR" to /proc/pte_memtype, then read:
 *
 *	present=1 pfn=0xfea03 large=0 write=1 WC
 *	present=0
 *
 * Mappings of ordinary memory are not looked at and read as present=0.
 */

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/msr.h>

struct memtype_answer {
	struct mutex lock;
	size_t len;
	char text[80];
};

/*
 * The memory types of the IA32_PAT fields (Intel SDM volume 3, 12.12.2). An entry chooses a field
 * by its bits PAT, PCD and PWT.
 */
static const char *pat_type(unsigned int field)
{
	static const char *const types[8] = { "UC", "WC", "?", "?", "WT", "WP", "WB", "UC-" };
	u32 low, high;

	rdmsr(MSR_IA32_CR_PAT, low, high);
	return types[((field & 4 ? high : low) >> (field & 3) * 8) & 7];
}

static const char *entry_type(const struct follow_pfnmap_args *args)
{
	u64 prot = pgprot_val(args->pgprot);
	/* The bit that selects the upper four fields sits elsewhere in large pages. */
	u64 pat = args->ptep ? _PAGE_PAT : _PAGE_PAT_LARGE;

	return pat_type((prot & pat ? 4 : 0) | (prot & _PAGE_PCD ? 2 : 0) |
			(prot & _PAGE_PWT ? 1 : 0));
}

static size_t look_up(struct mm_struct *mm, unsigned long addr, char *text, size_t size)
{
	struct follow_pfnmap_args args = { .address = addr };
	size_t len;

	mmap_read_lock(mm);
	args.vma = find_vma(mm, addr);
	if (args.vma && args.vma->vm_start <= addr && !follow_pfnmap_start(&args)) {
		len = scnprintf(text, size, "present=1 pfn=%#lx large=%d write=%d %s\n", args.pfn,
				!args.ptep, args.writable, entry_type(&args));
		follow_pfnmap_end(&args);
	} else {
		len = scnprintf(text, size, "present=0\n");
	}
	mmap_read_unlock(mm);
	return len;
}

static ssize_t memtype_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct memtype_answer *answer = file->private_data;
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long addr;
	char request[40];
	struct pid *pid;
	int nr;

	if (count >= sizeof(request))
		return -EINVAL;
	if (copy_from_user(request, from, count))
		return -EFAULT;
	request[count] = '\0';
	if (sscanf(request, "%d %lx", &nr, &addr) != 2)
		return -EINVAL;

	pid = find_get_pid(nr);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return -ESRCH;

	mutex_lock(&answer->lock);
	answer->len = look_up(mm, addr, answer->text, sizeof(answer->text));
	mutex_unlock(&answer->lock);
	mmput(mm);

	/* So that the answer is read from its start. */
	*pos = 0;
	return count;
}

static ssize_t memtype_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct memtype_answer *answer = file->private_data;
	ssize_t ret;

	mutex_lock(&answer->lock);
	ret = simple_read_from_buffer(to, count, pos, answer->text, answer->len);
	mutex_unlock(&answer->lock);
	return ret;
}

static int memtype_open(struct inode *inode, struct file *file)
{
	struct memtype_answer *answer = kzalloc(sizeof(*answer), GFP_KERNEL);

	if (!answer)
		return -ENOMEM;
	mutex_init(&answer->lock);
	file->private_data = answer;
	return 0;
}

static int memtype_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct proc_ops memtype_ops = {
	.proc_open	= memtype_open,
	.proc_read	= memtype_read,
	.proc_write	= memtype_write,
	.proc_release	= memtype_release,
};

static int __init pte_memtype_init(void)
{
	return proc_create("pte_memtype", 0600, NULL, &memtype_ops) ? 0 : -ENOMEM;
}
module_init(pte_memtype_init);

static void __exit pte_memtype_exit(void)
{
	remove_proc_entry("pte_memtype", NULL);
}
module_exit(pte_memtype_exit);

MODULE_DESCRIPTION("Test only: memory type of a page-table entry");
MODULE_AUTHOR("The dpdk-bar-lease authors");
MODULE_LICENSE("GPL");

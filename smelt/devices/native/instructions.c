/* A plugin of QEMU: counts instructions by the steps of the network, block by block, and notes how deep the stack goes.

   Made for interface version 1, which is also what later ones offer for these functions. QEMU's header is not needed: what is used of it
   is declared here. There is one processor, so nothing is atomic. Nothing of the C library is used; the result is a line in QEMU's log. */
#include <stddef.h>
#include <stdint.h>

#ifndef INTERFACE
#define INTERFACE 1
#endif
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, WRITES = 2 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, uint32_t, uint64_t, void *), int, int, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_outs(const char *);
int raise(int); /* QEMU ends in an orderly way when it is asked to terminate */
enum { TERMINATE = 15 };

EXPORT int qemu_plugin_version = INTERFACE;

/* What is known of a block travels in the pointer that QEMU hands back: address, number of instructions, flags. */
enum { RUN_ENTRY = 1, RUN_INSIDE = 2, KERNEL_ENTRY = 4, RETURN = 8, HANDLER = 16 };
/* There is nothing below the stack, but QEMU's MPS2 boards take writes there without a word. */
enum { BELOW_STACK = 1 << 16 };
enum { OUTSIDE = 0, OVERHEAD = 1, FIRST_STEP = 2, SLOTS = 4096, PLACES = 2048 };

typedef struct {
    uint32_t at[PLACES];
    uint32_t count;
} places;

static places kernels, returns;
static uint32_t run_start, run_end, reset_start, reset_end, handler, stack_limit, stack_top;
static uint64_t counts[SLOTS], last[SLOTS];
static uint64_t total, runs, used, last_used, current;
static uint32_t running, lowest, block, faulted, overflowed;

static int holds(const places *p, uint32_t address)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->at[i] == address) {
            return 1;
        }
    }
    return 0;
}

static void begin_run(void)
{
    running = 1;
    used = FIRST_STEP;
    for (uint32_t i = OVERHEAD; i < SLOTS; i++) {
        counts[i] = 0;
    }
}

static void end_run(void)
{
    for (uint64_t i = 0; i < used; i++) {
        last[i] = counts[i];
    }
    last_used = used;
    runs++;
    running = 0;
    current = OUTSIDE;
}

static void change_step(uint32_t flags)
{
    if (running && (flags & RETURN)) {
        end_run();
    }
    if (!running && (flags & RUN_ENTRY)) {
        begin_run();
    }
    if (!running) {
        return;
    }
    if (flags & RUN_INSIDE) {
        current = OVERHEAD;
    } else if ((flags & KERNEL_ENTRY) && current == OVERHEAD) {
        current = used < SLOTS ? used++ : SLOTS - 1;
    }
}

static void executed(unsigned processor, void *data)
{
    const uint64_t known = (uint64_t)(uintptr_t)data;
    const uint32_t flags = (uint32_t)(known >> 48);
    (void)processor;
    if (flags) {
        change_step(flags);
        if ((flags & HANDLER) && !faulted) {
            faulted = block;
        }
    }
    block = (uint32_t)known;
    counts[current] += (known >> 32) & 0xFFFFU;
    total += (known >> 32) & 0xFFFFU;
}

static void say(const char *name, uint64_t value)
{
    char digits[24];
    uint32_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10U);
        value /= 10U;
    } while (value);
    qemu_plugin_outs(name);
    qemu_plugin_outs(digits + at);
}

static void ended(plugin_id id, void *data)
{
    (void)id, (void)data;
    say("\nsmelt runs=", runs);
    say(" total=", total);
    say(" outside=", counts[OUTSIDE]);
    say(" overhead=", last[OVERHEAD]);
    say(" stack=", lowest < stack_top ? stack_top - (lowest & ~3U) : 0U);
    say(" faulted=", faulted);
    say(" overflowed=", overflowed);
    for (uint64_t i = FIRST_STEP; i < last_used; i++) {
        say(" step=", last[i]);
    }
    qemu_plugin_outs("\n");
}

static void written(unsigned processor, uint32_t information, uint64_t address, void *data)
{
    (void)processor, (void)information, (void)data;
    if (address >= lowest) {
        return;
    }
    if (address >= stack_limit) {
        lowest = (uint32_t)address;
    } else if (stack_limit - address <= BELOW_STACK && !overflowed) {
        overflowed = block;
        ended(0, NULL); /* now, since the program may destroy itself before QEMU ends */
        (void)raise(TERMINATE);
    }
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    const uint64_t count = qemu_plugin_tb_n_insns(tb);
    const uint32_t address = (uint32_t)qemu_plugin_tb_vaddr(tb);
    uint64_t flags = 0;
    (void)id;
    flags |= address == run_start ? RUN_ENTRY : 0U;
    flags |= address >= run_start && address < run_end ? RUN_INSIDE : 0U;
    flags |= holds(&kernels, address) ? KERNEL_ENTRY : 0U;
    flags |= holds(&returns, address) ? RETURN : 0U;
    flags |= address == handler ? HANDLER : 0U;
    const uint64_t known = address | (count << 32) | (flags << 48);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, (void *)(uintptr_t)known);
    if (address >= reset_start && address < reset_end) {
        return; /* it paints the whole stack */
    }
    for (uint64_t i = 0; i < count; i++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), written, NO_REGISTERS, WRITES, NULL);
    }
}

/* The value of an argument "name=123" if it is called that. */
static int value_of(const char *argument, const char *name, uint32_t *value)
{
    while (*name && *argument == *name) {
        argument++, name++;
    }
    if (*name || *argument++ != '=') {
        return 0;
    }
    for (*value = 0; *argument; argument++) {
        *value = *value * 10U + (uint32_t)(*argument - '0');
    }
    return 1;
}

static void remember(places *p, const char *argument, const char *name)
{
    uint32_t address;
    if (value_of(argument, name, &address) && p->count < PLACES && !holds(p, address)) {
        p->at[p->count++] = address;
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const void *information, int argc, char **argv)
{
    (void)information;
    for (int i = 0; i < argc; i++) {
        (void)value_of(argv[i], "run_start", &run_start);
        (void)value_of(argv[i], "run_end", &run_end);
        (void)value_of(argv[i], "reset_start", &reset_start);
        (void)value_of(argv[i], "reset_end", &reset_end);
        (void)value_of(argv[i], "handler", &handler);
        (void)value_of(argv[i], "stack_limit", &stack_limit);
        (void)value_of(argv[i], "stack_top", &stack_top);
        remember(&kernels, argv[i], "kernel");
        remember(&returns, argv[i], "return");
    }
    lowest = stack_top;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}

/* The board: ARM's MPS2 with the image AN386, a Cortex-M4F, as QEMU has it.
 * Start-up code, the UART, and the way out of the emulator. */
#include "board.h"

int main(void);

/* Where board.ld puts things. */
extern uint32_t stack_top[];
extern uint32_t data_start[], data_end[], data_in_flash[], bss_start[], bss_end[];

/* The coprocessor access control register of the core. */
#define CPACR (*(volatile uint32_t *)0xe000ed88u)

/* The first UART, of ARM's Cortex-M System Design Kit. */
static volatile uint32_t *const uart = (volatile uint32_t *)0x40004000u;
enum { UART_DATA = 0, UART_STATE = 1, UART_CONTROL = 2, UART_BAUD_DIVIDER = 4 };
enum { UART_TRANSMIT_FULL = 1, UART_TRANSMIT = 1 };

void board_start(void) {
    uart[UART_BAUD_DIVIDER] = 16; /* The smallest that the hardware takes. */
    uart[UART_CONTROL] = UART_TRANSMIT;
}

void board_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        while (uart[UART_STATE] & UART_TRANSMIT_FULL) {
        }
        uart[UART_DATA] = bytes[i];
    }
}

void board_print(const char *text) {
    size_t count = 0;
    while (text[count] != 0) {
        count++;
    }
    board_write((const uint8_t *)text, count);
}

void board_print_number(uint32_t number) {
    uint8_t digits[10];
    size_t first = sizeof digits;
    do {
        digits[--first] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    board_write(digits + first, sizeof digits - first);
}

/* Leaves the emulator with this exit code, by semihosting. */
static _Noreturn void leave(uint32_t code) {
    const uint32_t arguments[2] = {0x20026u /* The application's end. */, code};
    register uint32_t operation __asm__("r0") = 0x20u /* Exit, with a code. */;
    register const uint32_t *parameters __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(parameters) : "memory");
    for (;;) {
    }
}

static void fault(void) {
    board_print("fault\n");
    leave(1);
}

void reset(void);

void reset(void) {
    CPACR |= 0xfu << 20; /* The FPU is off after a reset. */
    __asm__ volatile("dsb\n\tisb" : : : "memory");
    for (size_t i = 0; data_start + i < data_end; i++) {
        data_start[i] = data_in_flash[i];
    }
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    leave((uint32_t)main());
}

/* The vector table: the stack's top, reset, and the faults. */
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault,
};

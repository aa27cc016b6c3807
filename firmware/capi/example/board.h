/* What the example needs of a board: a place to print to. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Makes the UART ready. */
void board_start(void);

/* Prints bytes as they are. */
void board_write(const uint8_t *bytes, size_t count);

/* Prints a text that ends with a zero byte. */
void board_print(const char *text);

/* Prints a number in decimal. */
void board_print_number(uint32_t number);

#endif

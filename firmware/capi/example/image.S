/* The image as a constant of the program, aligned to 16 bytes as the library
 * wants it. IMAGE is its path. */
    .section .rodata.image, "a", %progbits
    .balign 16
    .global image
    .global image_end
image:
    .incbin IMAGE
image_end:

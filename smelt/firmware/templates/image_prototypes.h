
/* The weights are an image of their own, which another training of the same network may replace: ${bytes} bytes at any address that
 * is a multiple of ${NAME}_IMAGE_ALIGNMENT (of 32, where flash is read in lines), in memory that a processor reads like any other.
 * Binding an instance to an image checks its layout and the CRC-32 of all its bytes; the image stays where it is and is read there.
 * To exchange it, bind the instance anew: what it pointed into before is not used any more.
 * ${name}_init takes the image that ${name}_weights.c has; without that file, there is no ${name}_init. */
#define ${NAME}_IMAGE_BYTES ${bytes}u
#define ${NAME}_IMAGE_ALIGNMENT ${alignment}u
#define ${NAME}_IMAGE_LAYOUT "${layout}"
${name}_status_code ${name}_init_image(${name}_net *net, const ${name}_memory *memory, const void *image);
${accessors}

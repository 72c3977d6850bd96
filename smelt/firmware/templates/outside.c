/* Tables that lie in flash outside of the chip. The section's name lets a script choose it; else they are where all tables are. */
#ifndef ${NAME}_OUTSIDE
#if defined(__GNUC__) && defined(__ELF__)
#define ${NAME}_OUTSIDE(memory) __attribute__((section(".rodata.smelt_tables." memory)))
#else
#define ${NAME}_OUTSIDE(memory)
#endif
#endif

/* Tables that are read from RAM: not const, so that every linker script and start-up code treats them as what they are, .data with
   initial values. Nothing ever writes to them. The section's name lets a script choose the RAM. */
#ifndef ${NAME}_RESIDENT
#if defined(__GNUC__) && defined(__ELF__)
#define ${NAME}_RESIDENT(memory) __attribute__((section(".data.smelt_tables." memory)))
#else
#define ${NAME}_RESIDENT(memory)
#endif
#endif

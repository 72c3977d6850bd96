/* Memory of one instance: for each region so many bytes, on a multiple of ${NAME}_ALIGNMENT. "fast" is memory tightly coupled to
 * the core, "main" the RAM where variables usually go. Every network has these two, so that code moves between boards; others
 * exist where the plan uses them. A region of 0 bytes may be NULL.
 * ${NAME}_..._SECTION: an attribute of your own for the buffer that ${NAME}_MEMORY defines for a region. */
#define ${NAME}_ALIGNMENT 4u
${region_macros}

typedef struct {
${memory_fields}
} ${name}_memory;

/* Defines buffers for one instance and `instance`, the ${name}_memory that names them: static, at file scope or in a function. */
#define ${NAME}_MEMORY(instance) ${memory_macro}

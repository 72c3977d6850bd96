/* ${field} is fed: it comes in rows, one after the other, and never is whole. */
#define ${FIELD}_ROWS ${rows}u
#define ${FIELD}_ROW_ELEMENTS ${row_elements}u

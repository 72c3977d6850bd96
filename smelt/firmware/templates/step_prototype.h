
/* Run one of them: all in their order, from 0 on, are a run. Returns ${NAME}_STATUS_OK, or ${NAME}_STATUS_UNKNOWN_STEP. Between two steps the
 * caller may do what it likes, as long as it leaves the instance and its memory alone.
 *
 * Hooks, which cost nothing where they are not defined when ${OWNER_FILE}_net.c is compiled:
 *   ${NAME}_PROFILE   each step is timed: see the end of this file
 *   ${NAME}_YIELD()   what ${name}_run does between two steps: feed a watchdog, let others run
 *   ${OWNER}_HOOKS     a header of yours to include there first, such as -D'${OWNER}_HOOKS="hooks.h"' */
${name}_status_code ${name}_step(const ${name}_net *net, uint32_t step);

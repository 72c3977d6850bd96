/* An example of @{name}: its self-test, then an input of your own.
 * SPDX-License-Identifier: @{license} */
#define @{NAME}_SELF_TEST
@{include}
#include "@{name}_self_test.h"

#include @{print_header}

/* Memory of one instance. It may lie elsewhere: see @{NAME}_MAIN_SECTION and the like in @{header}. */
@{NAME}_MEMORY(memory);

static @{name}_net net;

@{labels}static int run_example(void)
{
    int @{counter}largest = 0;
    if (@{name}_init(&net, &memory) != @{NAME}_STATUS_OK) {
        return 1;
    }
    const @{name}_out out = @{name}_get_outputs(&net);
    const int wrong = @{name}_self_test(&net);
    @{printing}("self-test: %d wrong\n", wrong);

    /* Here your own input is written. */
@{inputs}
    @{name}_run(&net);

@{find}
    @{printing}("@{what}: number %d %s\n", largest, @{label});
    return wrong == 0 ? 0 : 1;
}

@{entry}

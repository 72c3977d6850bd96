/* An example of @{name}: its self-test, then an input of your own.
 * SPDX-License-Identifier: @{license} */
#define @{NAME}_SELF_TEST
#include <@{header}>
#include <@{name}_self_test.h>

@{NAME}_MEMORY(memory);

static @{name}_net net;

@{labels}void setup()
{
    Serial.begin(115200);
    while (!Serial) {
    }
    if (@{name}_init(&net, &memory) != @{NAME}_STATUS_OK) {
        Serial.println("@{name} was given no memory");
        return;
    }
    Serial.print("self-test, elements that are wrong: ");
    Serial.println(@{name}_self_test(&net));
}

void loop()
{
    int @{counter}largest = 0;
    const @{name}_out out = @{name}_get_outputs(&net);

    /* Here your own input is written. */
@{inputs}

    const unsigned long start = micros();
    @{name}_run(&net);
    const unsigned long end = micros();

@{find}
    Serial.print("@{found}: ");
    Serial.print(largest);
    Serial.print(" ");
    Serial.print(@{label});
    Serial.print(", microseconds: ");
    Serial.println(end - start);
    delay(1000);
}

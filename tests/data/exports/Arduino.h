/* What the sketches of packages call of Arduino's core, on a host: setup, then one round of loop. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdio.h>

struct Console {
    void begin(unsigned long) {}
    operator bool() const { return true; }
    void print(const char *text) { fputs(text, stdout); }
    void print(long value) { printf("%ld", value); }
    void print(int value) { printf("%d", value); }
    void print(unsigned long value) { printf("%lu", value); }
    template <typename Value> void println(Value value)
    {
        print(value);
        print("\n");
    }
};

static Console Serial;

static inline unsigned long micros() { return 0; }
static inline void delay(unsigned long) {}

void setup();
void loop();

int main()
{
    setup();
    loop();
    return 0;
}

#endif

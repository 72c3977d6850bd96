/* MLPerf Tiny's serial protocol: commands end with '%', answers with "m-ready". It is described with the benchmark's runner,
   github.com/mlcommons/tiny; none of that code is here. */
#include "smelt_mlperf.h"

#include "smelt_cycles.h"
#include "smelt_firmware.h"
#include "smelt_mlperf_model.h"
#include "smelt_mlperf_numbers.h"
#include "smelt_registers.h"
#include "smelt_semihosting.h"

#include <string.h>

#define LONGEST 80U /* characters of a command */
#define WARM_UPS 10 /* unless told otherwise */
#define NOTHING (-1)
#define PER_LINE 8U

#define PLACES 16           /* of the binary fractions that errors are squared as */
#define FARTHEST (1 << 30)  /* that a value is from zero then: the squares' sum must not wrap */

static SMELT_MLPERF_PLACE uint8_t input_bytes[SMELT_MLPERF_BYTES]; /* where nobody clears them */
static uint32_t expected, loaded;

/* --- time ------------------------------------------------------------------------------------------------------------ */

static uint64_t cycles_so_far;
static uint32_t counted;

/* The counter has 32 bits: to be called at least once while it goes round. */
static void count_cycles(void)
{
    const uint32_t now = smelt_cycles();
    cycles_so_far += now - counted;
    counted = now;
}

#if !SMELT_MLPERF_ENERGY
static uint64_t microseconds(void)
{
    count_cycles();
    uint64_t seconds = cycles_so_far;
    uint64_t rest = (uint64_t)smelt_divide(&seconds, SMELT_CLOCK_HZ) * 1000000U;
    (void)smelt_divide(&rest, SMELT_CLOCK_HZ);
    return seconds * 1000000U + rest;
}
#endif

/* --- what is said ---------------------------------------------------------------------------------------------------- */

static void print_number(uint64_t number)
{
    char text[SMELT_TEXT];
    smelt_print(smelt_decimal(number, text));
}

static void say(const char *before, uint64_t number, const char *after)
{
    smelt_print(before);
    print_number(number);
    smelt_print(after);
}

static void say_word(const char *before, const char *word, const char *after)
{
    smelt_print(before);
    smelt_print(word);
    smelt_print(after);
}

static void print_byte(uint8_t byte)
{
    const char text[] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15U], '\0'};
    smelt_print(text);
}

/* With energy, instruments watch a pin: it falls, and rises after ten microseconds. Else the time is said. */
static void timestamp(void)
{
#if SMELT_MLPERF_ENERGY
    smelt_set_pin(0);
    for (const uint32_t begun = smelt_cycles(); smelt_cycles() - begun < SMELT_CLOCK_HZ / 100000U;) {
    }
    smelt_set_pin(1);
#else
    say("m-lap-us-", microseconds(), "\n");
#endif
}

/* --- the network ----------------------------------------------------------------------------------------------------- */

#if SMELT_MLPERF_REALS

static SMELT_MLPERF_PLACE uint8_t quantised[SMELT_MLPERF_BYTES / 4U];

static uint32_t real_at(uint32_t index)
{
    uint32_t bits;
    memcpy(&bits, input_bytes + 4U * index, sizeof bits);
    return bits;
}

static void prepare_input(void)
{
    for (uint32_t i = 0U; i < sizeof quantised; i++) {
        const int32_t value = smelt_quotient(real_at(i), SMELT_MLPERF_SCALE) + SMELT_MLPERF_ZERO_POINT;
        const int32_t low = SMELT_MLPERF_LOW, high = SMELT_MLPERF_LOW + 255;
        quantised[i] = (uint8_t)(value < low ? low : value > high ? high : value);
    }
}

#define INPUT quantised

#else

static void prepare_input(void)
{
}

#define INPUT input_bytes

#endif

/* One inference. The network may write over its input, so it gets it anew. */
static void infer_once(void)
{
    const uint8_t *from = INPUT;
    for (uint32_t i = 0U; smelt_input(i).bytes != 0U; i++) {
        memcpy(smelt_input(i).data, from, smelt_input(i).bytes);
        from += smelt_input(i).bytes;
    }
    smelt_run();
    count_cycles();
}

static uint32_t word_at(uint32_t output, uint32_t index)
{
    uint32_t word;
    memcpy(&word, (const uint8_t *)smelt_output(output).data + 4U * index, sizeof word);
    return word;
}

/* The element of an output, without its scale. */
static int32_t integer_at(uint32_t output, uint32_t index)
{
    const uint8_t *data = smelt_output(output).data;
    switch (smelt_mlperf_outputs[output].type) {
    case SMELT_INT8:
        return (int8_t)data[index];
    case SMELT_UINT8:
        return data[index];
    case SMELT_INT16:
        return (int16_t)(uint16_t)(data[2U * index] | data[2U * index + 1U] << 8);
    default:
        return (int32_t)word_at(output, index);
    }
}

static smelt_real value_at(uint32_t output, uint32_t index)
{
    const smelt_mlperf_values *values = &smelt_mlperf_outputs[output];
    if (values->type == SMELT_FLOAT32) {
        return smelt_of_float(word_at(output, index));
    }
    smelt_real value = smelt_of_float(values->scale);
    value.mantissa *= (int64_t)integer_at(output, index) - values->zero_point;
    return value;
}

#if SMELT_MLPERF_REALS

static int64_t near_enough(smelt_real value)
{
    const int64_t found = smelt_fixed(value, PLACES);
    return found > FARTHEST ? FARTHEST : found < -FARTHEST ? -FARTHEST : found;
}

/* The mean of the squares of what the network changed in its input. */
static void print_results(void)
{
    const uint32_t elements = smelt_mlperf_outputs[0].elements;
    uint64_t sum = 0U;
    for (uint32_t i = 0U; i < elements; i++) {
        const int64_t error = near_enough(value_at(0U, i)) - near_enough(smelt_of_float(real_at(i)));
        sum += (uint64_t)(error * error) >> PLACES;
    }
    (void)smelt_divide(&sum, elements);
    char text[SMELT_TEXT];
    say_word("m-results-[", smelt_thousandths((int64_t)((sum * 1000U + (1U << (PLACES - 1))) >> PLACES), text), "]\n");
}

#else

static void print_value(uint32_t output, uint32_t index)
{
    char text[SMELT_TEXT];
    if (smelt_mlperf_outputs[output].type == SMELT_FLOAT32 && smelt_is_nan(word_at(output, index))) {
        smelt_print("nan");
        return;
    }
    smelt_real value = value_at(output, index);
    if (value.mantissa > INT64_MAX / 1000 || value.mantissa < INT64_MIN / 1000) {
        value.mantissa >>= 10;
        value.exponent += 10;
    }
    value.mantissa *= 1000;
    smelt_print(smelt_thousandths(smelt_fixed(value, 0), text));
}

static void print_results(void)
{
    const char *between = "m-results-[";
    for (uint32_t output = 0U; smelt_output(output).bytes != 0U; output++) {
        for (uint32_t i = 0U; i < smelt_mlperf_outputs[output].elements; i++) {
            smelt_print(between);
            print_value(output, i);
            between = ",";
        }
    }
    smelt_print("]\n");
}

#endif

/* --- commands -------------------------------------------------------------------------------------------------------- */

/* Cuts the next word off. Returns an empty one where there is none. */
static char *next_word(char **at)
{
    char *word = *at;
    while (*word == ' ') {
        word++;
    }
    char *end = word;
    while (*end != ' ' && *end != '\0') {
        end++;
    }
    *at = end;
    if (*end == ' ') {
        *end = '\0';
        (*at)++;
    }
    return word;
}

static int is(const char *word, const char *other)
{
    while (*word == *other && *word != '\0') {
        word++;
        other++;
    }
    return *word == *other;
}

/* A number of decimal digits, at most INT32_MAX; NOTHING for anything else. */
static int32_t number_of(const char *word)
{
    int64_t number = *word == '\0' ? NOTHING : 0;
    for (; *word != '\0'; word++) {
        if (*word < '0' || *word > '9') {
            return NOTHING;
        }
        number = number * 10 + (*word - '0');
        number = number > INT32_MAX ? INT32_MAX : number;
    }
    return (int32_t)number;
}

static int32_t digit_of(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    const char small = (char)(letter | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : NOTHING;
}

static void begin_loading(const char *size)
{
    const int32_t bytes = number_of(size);
    expected = 0U;
    loaded = 0U;
    if (*size == '\0') {
        smelt_print("e-[Command 'db load' requires the # of bytes]\n");
    } else if (bytes <= 0) {
        smelt_print("e-[Command 'db load' must be >0 bytes]\n");
    } else if ((uint32_t)bytes > sizeof input_bytes) {
        say("Supplied buffer size ", (uint32_t)bytes, " exceeds maximum of ");
        say("", sizeof input_bytes, "\n");
    } else {
        expected = (uint32_t)bytes;
        say("m-[Expecting ", expected, " bytes]\n");
    }
}

static void load(const char *digits)
{
    uint32_t length = 0U;
    while (digits[length] != '\0') {
        length++;
    }
    if (length % 2U != 0U) {
        smelt_print("e-[Insufficent number of hex digits]\n"); /* as the runner's other devices write it */
        return;
    }
    if (loaded == expected) {
        smelt_print("e-[No bytes are expected: 'db load N' comes first]\n");
        return;
    }
    for (; *digits != '\0' && loaded < expected; digits += 2) {
        const int32_t high = digit_of(digits[0]), low = digit_of(digits[1]);
        if (high < 0 || low < 0) {
            const char pair[] = {digits[0], digits[1], '\0'};
            say_word("e-[Invalid hex digit '", pair, "']\n");
            return;
        }
        input_bytes[loaded++] = (uint8_t)((uint32_t)(high << 4 | low) ^ SMELT_MLPERF_FLIP);
    }
    if (loaded == expected) {
        smelt_print("m-load-done\n");
    }
}

static void print_buffer(void)
{
    for (uint32_t i = 0U; i < expected; i++) {
        smelt_print(i % PER_LINE == 0U ? "m-buffer-" : "-");
        print_byte((uint8_t)(input_bytes[i] ^ SMELT_MLPERF_FLIP));
        count_cycles(); /* all of a picture takes ten seconds at 115200 baud */
        if ((i + 1U) % PER_LINE == 0U || i + 1U == expected) {
            smelt_print("\n");
        }
    }
    if (expected % PER_LINE != 0U) {
        smelt_print("\n");
    }
}

static void manage_buffer(char *rest)
{
    const char *word = next_word(&rest);
    if (*word == '\0') {
        smelt_print("e-[Command 'db' requires a subcommand]\n");
    } else if (is(word, "load")) {
        begin_loading(next_word(&rest));
    } else if (is(word, "print")) {
        print_buffer();
    } else {
        load(word);
    }
}

static void infer(int32_t times, int32_t warm_ups)
{
    prepare_input();
    say("m-warmup-start-", (uint32_t)warm_ups, "\n");
    while (warm_ups-- > 0) {
        infer_once();
    }
    smelt_print("m-warmup-done\n");
    say("m-infer-start-", (uint32_t)times, "\n");
    timestamp();
    while (times-- > 0) {
        infer_once();
    }
    timestamp();
    smelt_print("m-infer-done\n");
    print_results();
}

static void ask_for_inferences(char *rest)
{
    const char *word = next_word(&rest);
    const int32_t times = *word == '\0' ? 1 : number_of(word);
    word = next_word(&rest);
    const int32_t warm_ups = *word == '\0' ? WARM_UPS : number_of(word);
    if (times <= 0) {
        smelt_print("e-[Inference iterations must be >0]\n");
    } else if (warm_ups < 0) {
        smelt_print("e-[Inference warmup must be >=0]\n");
    } else {
        infer(times, warm_ups);
    }
}

static void help(void)
{
    smelt_print("name, profile, timestamp: who this is, what it runs, and when\n"
                "db load N, db HH..: N bytes of an input, two hexadecimal digits each; db print: what was loaded\n"
                "infer N [W=10]: N inferences after W to warm up, and results\n"
                "results: of the last inference\n");
}

static void obey(char *command)
{
    const char *word = next_word(&command);
    if (is(word, "name")) {
        smelt_print("m-name-dut-[" SMELT_MLPERF_VENDOR "]\n");
    } else if (is(word, "profile")) {
        smelt_print("m-profile-[ULPMark for tinyML Firmware V0.0.1]\nm-model-[" SMELT_MLPERF_MODEL "]\n");
    } else if (is(word, "timestamp")) {
        timestamp();
    } else if (is(word, "db")) {
        manage_buffer(command);
    } else if (is(word, "infer")) {
        ask_for_inferences(command);
    } else if (is(word, "results")) {
        print_results();
    } else if (is(word, "help")) {
        help();
    } else if (*word != '\0') {
        say_word("e-[Unknown command: ", word, "]\n");
    } else {
        /* nothing is asked: the runner does that to flush a port */
    }
}

/* Fills `command` up to the next '%'; returns whether all of it had room. */
static int read_command(char command[LONGEST + 1U])
{
    uint32_t length = 0U;
    for (;;) {
        const int32_t byte = smelt_received();
        count_cycles();
        if (byte == '%') {
            command[length < LONGEST ? length : LONGEST] = '\0';
            return length <= LONGEST;
        }
        if (byte > '\r') { /* people at terminals end lines */
            if (length < LONGEST) {
                command[length] = (char)byte;
            }
            length += length <= LONGEST ? 1U : 0U;
        }
    }
}

void smelt_mlperf(void)
{
    char command[LONGEST + 1U];
    memset(input_bytes, 0, sizeof input_bytes);
    smelt_start_counter();
#if SMELT_MLPERF_ENERGY
    smelt_set_up_pin();
    smelt_print("m-timestamp-mode-energy\n");
#else
    smelt_print("m-timestamp-mode-performance\n");
#endif
    timestamp();
    smelt_print("m-init-done\nm-ready\n");
    for (;;) {
        if (read_command(command)) {
            obey(command);
        } else {
            say("e-[Command is longer than ", LONGEST, " characters]\n");
        }
        smelt_print("m-ready\n");
    }
}

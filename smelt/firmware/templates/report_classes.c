static const char *const smelt_labels[] = {
${labels}
};

/* The most probable class and its probability, rounded to two digits: "prediction: frog (0.98)". */
void smelt_report(void)
{
    const int8_t *const scores = ${name}_get_outputs(&smelt_net).${field};
    uint32_t best = 0u;
    for (uint32_t i = 1u; i < ${classes}u; ++i) {
        if (scores[i] > scores[best]) {
            best = i;
        }
    }
    const uint32_t hundredths = ((uint32_t)(scores[best] + 128) * 100u + 128u) / 256u;
    char number[] = "0.00";
    number[0] = (char)('0' + hundredths / 100u);
    number[2] = (char)('0' + hundredths / 10u % 10u);
    number[3] = (char)('0' + hundredths % 10u);
    smelt_print("prediction: ");
    smelt_print(smelt_labels[best]);
    smelt_print(" (");
    smelt_print(number);
    smelt_print(")\n");
}

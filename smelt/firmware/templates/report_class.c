static const char *const smelt_labels[] = {
${labels}
};

/* The class that was chosen: "prediction: frog". */
void smelt_report(void)
{
    const int32_t best = ${name}_get_outputs(&smelt_net).${field}[0];
    smelt_print("prediction: ");
    smelt_print(smelt_labels[best >= 0 && best < ${classes} ? best : 0]);
    smelt_print("\n");
}

/* The outputs are no class probabilities: there is nothing to say of them in a word. */
void smelt_report(void)
{
}

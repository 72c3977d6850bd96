
/* What the controller asks the cluster for. */
static void run_on_cluster(void *net)
{
    ${name}_run((const ${name}_net *)net);
}

/* The entry of an application of ESP-IDF, called on a host. */
void app_main(void);

int main(void)
{
    app_main();
    return 0;
}

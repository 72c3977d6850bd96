/* CRC-32 as Ethernet and zip files have it, four bits at a time. */
static uint32_t ${name}_crc32(const uint8_t *bytes, uint32_t count)
{
    static const uint32_t remainders[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0u; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ remainders[crc & 15u];
        crc = (crc >> 4) ^ remainders[crc & 15u];
    }
    return crc ^ 0xFFFFFFFFu;
}

/* Whether an image of weights is one for this code, and whole. */
static ${name}_status_code ${name}_check_image(const void *image)
{
    ${name}_status_code status = ${NAME}_STATUS_OK;
    const uint32_t *const words = image;
    if (image == NULL) {
        status = ${NAME}_STATUS_NULL_POINTER;
    } else if (((uintptr_t)image % ${NAME}_IMAGE_ALIGNMENT) != 0u) {
        status = ${NAME}_STATUS_MISALIGNED;
    } else if ((words[0] != ${magic}u) || (words[1] != ${layout_0}u) || (words[2] != ${layout_1}u)
        || (words[3] != ${NAME}_IMAGE_BYTES)) {
        status = ${NAME}_STATUS_FOREIGN_WEIGHTS;
    } else if (words[4] != ${name}_crc32((const uint8_t *)image + ${head}, ${NAME}_IMAGE_BYTES - ${head}u)) {
        status = ${NAME}_STATUS_DAMAGED_WEIGHTS;
    } else {
        /* as it should be */
    }
    return status;
}


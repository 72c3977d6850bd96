, /* there is no step of that number */
    ${NAME}_STATUS_FOREIGN_WEIGHTS = -4, /* no image of weights for this code is there: none at all, or of another layout */
    ${NAME}_STATUS_DAMAGED_WEIGHTS = -5 /* the image is for this code, but its CRC-32 is not that of its bytes */

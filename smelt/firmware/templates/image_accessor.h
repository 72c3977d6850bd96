
/* The scale and the zero point of ${field} in the image that an instance is bound to. */
float ${name}_${field}_scale(const ${name}_net *net);
int32_t ${name}_${field}_zero_point(const ${name}_net *net);

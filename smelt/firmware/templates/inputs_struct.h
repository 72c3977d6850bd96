typedef struct {
${input_fields}
} ${name}_in;

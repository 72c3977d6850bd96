#ifdef ${NAME}_PROFILE
const ${name}_step_info ${name}_steps[${NAME}_STEPS] = {
${table}
};
#endif


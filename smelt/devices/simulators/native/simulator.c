/* The native part of the simulators, as one library. */
#include "counter.c"
#include "flights.h"

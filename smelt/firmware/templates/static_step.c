
/* Steps are part of what calls them, so that a run is not slower for them. */
#if defined(__GNUC__)
#define ${NAME}_STATIC_STEP __attribute__((always_inline)) static inline
#else
#define ${NAME}_STATIC_STEP static inline
#endif

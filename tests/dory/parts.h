/* What DORY's layers are made of here. With XPULP loops are hardware's and pointers step in loads and stores, as GreenWaves' compiler
   makes them of such C; without it stock compilers do what they can with the same steps. */
typedef struct {
    uint32_t x;                  /* where the tile begins, in L2 */
    uint32_t rows, columns;      /* of x, without padding */
    uint32_t y_rows, y_columns, channels; /* of y */
    uint32_t top, left, bottom;  /* padding */
    uint32_t kernel, stride, depth; /* depth: channels of x of a convolution */
} tile_shape;

static SMELT_L1 tile_shape now;
static SMELT_L1 uint32_t cycles;

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline int32_t product(uint32_t x, uint32_t w, int32_t sum)
{
    __asm__(".insn r 0x57,1,0x54,%0,%1,%2" : "+r"(sum) : "r"(x), "r"(w));
    return sum;
}

static inline uint32_t word_at(const void *p) { return *(const uint32_t *)p; }

#if XPULP
static inline uint8_t rescaled(int32_t sum, int32_t factor, int32_t summand)
{
    __asm__(".insn r 0x33,0,0x21,%0,%1,%2" : "+r"(summand) : "r"(sum), "r"(factor));
    summand >>= 9;
    __asm__(".insn r 0x33,2,0x0a,%0,%0,x9" : "+r"(summand));
    return (uint8_t)summand;
}

/* Words, `across` bytes apart, one behind the other, less what is too much of each row. */
static inline uint8_t *copy_rows(uint8_t *to, const uint8_t *from, uint32_t rows, uint32_t words, uint32_t across, uint32_t back)
{
    __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                     ".insn i 0x7b,4,x1,%[rows],12\n"
                     "mv t0, %[from]\n"
                     ".insn i 0x7b,4,x0,%[words],4\n"
                     ".insn i 0x0b,2,t1,t0,4\n"
                     ".insn s 0x2b,2,t1,4(%[to])\n"
                     "add %[from], %[from], %[across]\n"
                     "sub %[to], %[to], %[back]\n"
                     ".option pop\n"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [rows] "r"(rows), [words] "r"(words), [across] "r"(across), [back] "r"(back)
                     : "t0", "t1", "memory");
    return to;
}

static inline int32_t dot_bytes(const uint8_t **x, const int8_t **w, uint32_t count, int32_t sum)
{
    if (count) {
        __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                         ".insn i 0x7b,4,x0,%[n],6\n"
                         ".insn i 0x0b,0,t0,%[w],1\n.insn i 0x0b,4,t1,%[x],1\n"
                         ".insn r 0x33,0,0x21,%[sum],t0,t1\n"
                         ".option pop\n"
                         : [x] "+r"(*x), [w] "+r"(*w), [sum] "+r"(sum)
                         : [n] "r"(count)
                         : "t0", "t1", "memory");
    }
    return sum;
}

static inline int32_t dot_words(const uint8_t **x, const int8_t **w, uint32_t count, int32_t sum)
{
    if (count) {
        __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                         ".insn i 0x7b,4,x0,%[n],6\n"
                         ".insn i 0x0b,2,t0,%[w],4\n.insn i 0x0b,2,t1,%[x],4\n"
                         ".insn r 0x57,1,0x54,%[sum],t1,t0\n"
                         ".option pop\n"
                         : [x] "+r"(*x), [w] "+r"(*w), [sum] "+r"(sum)
                         : [n] "r"(count)
                         : "t0", "t1", "memory");
    }
    return sum;
}

static inline uint8_t *copy_bytes(uint8_t *to, const uint8_t *from, uint32_t count)
{
    const uint32_t words = count >> 2, bytes = count & 3U;
    if (words) {
        __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                         ".insn i 0x7b,4,x0,%[n],4\n"
                         ".insn i 0x0b,2,t0,%[from],4\n.insn s 0x2b,2,t0,4(%[to])\n"
                         ".option pop\n"
                         : [to] "+r"(to), [from] "+r"(from)
                         : [n] "r"(words)
                         : "t0", "memory");
    }
    if (bytes) {
        __asm__ volatile(".balign 4\n.option push\n.option norvc\n"
                         ".insn i 0x7b,4,x0,%[n],4\n"
                         ".insn i 0x0b,4,t0,%[from],1\n.insn s 0x2b,0,t0,1(%[to])\n"
                         ".option pop\n"
                         : [to] "+r"(to), [from] "+r"(from)
                         : [n] "r"(bytes)
                         : "t0", "memory");
    }
    return to;
}
#else
static inline uint8_t rescaled(int32_t sum, int32_t factor, int32_t summand)
{
    const int32_t value = (factor * sum + summand) >> 9;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static inline uint8_t *copy_rows(uint8_t *to, const uint8_t *from, uint32_t rows, uint32_t words, uint32_t across, uint32_t back)
{
    do {
        uint32_t i = 0U;
        do {
            *(uint32_t *)to = word_at(from + 4U * i);
            to += 4U;
        } while (++i < words);
        from += across, to -= back;
    } while (--rows);
    return to;
}

static inline int32_t dot_bytes(const uint8_t **x, const int8_t **w, uint32_t count, int32_t sum)
{
    for (; count; count--) {
        sum += *(*x)++ * *(*w)++;
    }
    return sum;
}

static inline int32_t dot_words(const uint8_t **x, const int8_t **w, uint32_t count, int32_t sum)
{
    for (; count; count--) {
        sum = product(word_at(*x), word_at(*w), sum);
        *x += 4, *w += 4;
    }
    return sum;
}

static inline uint8_t *copy_bytes(uint8_t *to, const uint8_t *from, uint32_t count)
{
    for (uint32_t i = count >> 2; i; i--) {
        *(uint32_t *)to = word_at(from);
        to += 4, from += 4;
    }
    for (uint32_t i = count & 3U; i; i--) {
        *to++ = *from++;
    }
    return to;
}
#endif

/* How many rows or columns of x a piece of y reads: where it begins, and padding in front and behind. */
static uint32_t reach(uint32_t first, uint32_t count, uint32_t size, uint32_t *begins, uint32_t *before, uint32_t *behind)
{
    const int32_t low = (int32_t)(first * STRIDE) - PAD, high = low + (int32_t)((count - 1U) * STRIDE) + FILTER;
    *begins = low < 0 ? 0U : (uint32_t)low;
    *before = low < 0 ? (uint32_t)-low : 0U;
    *behind = high > (int32_t)size ? (uint32_t)high - size : 0U;
    return (uint32_t)(high - low) - *before - *behind;
}

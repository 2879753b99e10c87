/* Sandgrain kernels: magnitude of a complex number in 32-bit integers. The same in numpy: ops/signal/magnitude.py. */
#ifndef SG_MAGNITUDE_H
#define SG_MAGNITUDE_H

#include "sg_clz.h"

/* sqrt(i 2^24) of i = 16 to 129. */
static const uint16_t sg_magnitude_roots[114] = {
    16384, 16888, 17378, 17854, 18318, 18770, 19212, 19644, 20066, 20480, 20886, 21283, 21674, 22058, 22435, 22806,
    23170, 23530, 23884, 24232, 24576, 24915, 25249, 25580, 25905, 26227, 26545, 26859, 27170, 27477, 27780, 28081,
    28378, 28672, 28963, 29251, 29537, 29819, 30099, 30377, 30652, 30924, 31194, 31462, 31727, 31991, 32252, 32511,
    32768, 33023, 33276, 33527, 33776, 34024, 34270, 34514, 34756, 34996, 35235, 35472, 35708, 35942, 36175, 36406,
    36636, 36864, 37091, 37316, 37540, 37763, 37985, 38205, 38424, 38642, 38858, 39073, 39287, 39500, 39712, 39923,
    40132, 40341, 40548, 40755, 40960, 41164, 41368, 41570, 41771, 41972, 42171, 42369, 42567, 42763, 42959, 43154,
    43348, 43541, 43733, 43925, 44115, 44305, 44494, 44682, 44869, 45056, 45242, 45427, 45611, 45795, 45977, 46160,
    46341, 46522,
};

/* sqrt(re^2 + im^2) below 2^31.5, right to 1 in 8,000: the larger part is brought to 15 bits, so that the squares fit 32
 * (2^28 to 2^31), and the root is read between two lines of the table: they differ by 504 at most. */
static inline uint32_t sg_magnitude_s32(int32_t re, int32_t im)
{
    const uint32_t spread = (uint32_t)((re ^ (re >> 31)) | (im ^ (im >> 31)));
    const int32_t down = 17 - sg_clz32(spread);
    if (spread == 0u) {
        return 0u;
    }
    {
        const int32_t a = down >= 0 ? re >> down : (int32_t)((uint32_t)re << -down);
        const int32_t b = down >= 0 ? im >> down : (int32_t)((uint32_t)im << -down);
        const int32_t a2 = a * a, b2 = b * b;
        const uint32_t square = (uint32_t)a2 + (uint32_t)b2;
        const uint16_t *root = sg_magnitude_roots + ((square >> 24) - 16u);
        const uint32_t whole = root[0] + ((((uint32_t)root[1] - root[0]) * ((square >> 9) & 0x7fffu)) >> 15);
        return down >= 0 ? whole << down : whole >> -down;
    }
}

#endif

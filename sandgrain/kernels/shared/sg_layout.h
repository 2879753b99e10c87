/* Sandgrain kernels: structs that assembly reads. Their offsets are numbers in its text, which no compiler compares with the
 * struct, so each such struct is followed by
 *   SG_LAYOUT(block, SG_AT(sg_block, x, 0) && SG_AT(sg_block, skip, 4));
 * which makes a compiler refuse a member that has moved. It is a typedef: nothing of it is in the program.
 */
#ifndef SG_LAYOUT_H
#define SG_LAYOUT_H

#include <stddef.h>

#define SG_AT(type, member, offset) (offsetof(struct type, member) == (offset))
#define SG_LAYOUT(name, holds) typedef char sg_layout_of_##name[(holds) ? 1 : -1]

#endif

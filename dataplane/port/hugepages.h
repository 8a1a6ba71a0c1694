/* hugepages.h: what the kernel has of them, and how to have more. Start only. */
#ifndef SPATE_PORT_HUGEPAGES_H
#define SPATE_PORT_HUGEPAGES_H

#include <stddef.h>

#define SPATE_HUGEPAGE_BYTES (2u << 20) /* the size that the cache takes, and that is asked for */

long spate_hugepages_free(void);     /* of that size */
long spate_hugepages_free_any(void); /* of every size */

/* Writes what to type to have `more` of 2 MiB than there are now. Returns text. */
const char *spate_hugepages_recipe(char *text, size_t len, long more);

#endif

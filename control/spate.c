/* spate.c: main. */
#include <stdio.h>

#include "version.h"

int main(void)
{
	puts("spate " SPATE_VERSION);
	return 0;
}

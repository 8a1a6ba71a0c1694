/* zipf.c: Vose's construction: entries with less than their share borrow from one that has more. */
#include "bench/load/zipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int load_zipf_init(struct load_zipf *z, uint32_t n, double s)
{
	double *p, sum = 0;
	uint32_t *work, small = 0, large;

	if (n == 0 || !(s >= 0))
		return -EINVAL;
	*z = (struct load_zipf){.n = n};
	if (s == 0)
		return 0;
	p = malloc(n * sizeof(*p));
	work = malloc(n * sizeof(*work)); /* small ones from the front, large ones from the back */
	z->entry = malloc(n * sizeof(*z->entry));
	if (p == NULL || work == NULL || z->entry == NULL) {
		free(p);
		free(work);
		load_zipf_finish(z);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += p[i] = pow((double)i + 1, -s);
	large = n;
	for (uint32_t i = 0; i < n; i++) {
		p[i] *= (double)n / sum;
		if (p[i] < 1)
			work[small++] = i;
		else
			work[--large] = i;
		z->entry[i] = (struct load_zipf_entry){UINT32_MAX, i};
	}
	while (small > 0 && large < n) {
		uint32_t a = work[--small], b = work[large];

		z->entry[a] = (struct load_zipf_entry){(uint32_t)(p[a] * 4294967295.0), b};
		p[b] -= 1 - p[a];
		if (p[b] < 1) {
			large++;
			work[small++] = b;
		}
	}
	free(p);
	free(work);
	return 0;
}

void load_zipf_finish(struct load_zipf *z)
{
	free(z->entry);
	z->entry = NULL;
}

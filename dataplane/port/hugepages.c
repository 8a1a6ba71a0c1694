#include "dataplane/port/hugepages.h"

#include <dirent.h>
#include <stdio.h>

#define SIZES "/sys/kernel/mm/hugepages/"
#define POOL  SIZES "hugepages-2048kB/" /* whatever the default size is */

static long number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

long spate_hugepages_free(void)
{
	return number(POOL "free_hugepages");
}

long spate_hugepages_free_any(void)
{
	DIR *d = opendir(SIZES);
	struct dirent *e;
	long total = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		char path[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), SIZES "%s/free_hugepages", e->d_name);
		total += number(path);
	}
	closedir(d);
	return total;
}

const char *spate_hugepages_recipe(char *text, size_t len, long more)
{
	snprintf(text, len,
		 "echo %ld > " POOL "nr_hugepages; mkdir -p /mnt/huge; "
		 "mount -t hugetlbfs -o pagesize=2M none /mnt/huge",
		 number(POOL "nr_hugepages") + more);
	return text;
}

#include "control/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config/read.h"
#include "control/config/report.h"
#include "control/config/rules.h"
#include "control/config/schema.h"

#define FILE_MAX_BYTES (1u << 20)

/* What messages call a configuration that has no file. */
static const char no_file[] = "spate";

int spate_config_parse(const char *name, const char *text, size_t len,
		       const struct spate_config_overrides *overrides, struct spate_config **out,
		       struct spate_config_report *report)
{
	unsigned errors = report->errors;
	struct spate_config_where *where;
	struct spate_config *cfg = NULL;
	const char *why = NULL;
	char *canon;
	size_t canon_len;
	int ret;

	where = calloc(SPATE_PARAM_COUNT, sizeof(*where));
	if (!where)
		return -ENOMEM;
	ret = spate_config_read(name, text, len, overrides, &canon, &canon_len, where, report);
	if (ret < 0)
		goto out_where;
	ret = spate_schema_load(canon, canon_len, &cfg, &why);
	free(canon);
	if (ret < 0) {
		spate_report_error(report, name, NULL, "internal: libcyaml: %s", why);
		goto out_where;
	}
	cfg->where = where;
	cfg->overrides = overrides;
	spate_config_rules(cfg, name, report);
	if (report->errors > errors) {
		spate_config_free(cfg);
		return -EINVAL;
	}
	*out = cfg;
	return 0;

out_where:
	free(where);
	return ret;
}

/* The whole of a small file, malloc'd; NULL and *err (negative errno). */
static char *slurp(const char *path, size_t *len, int *err)
{
	struct stat st;
	char *buf = NULL;
	ssize_t n = 0;
	int fd;

	*len = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		*err = -errno;
		goto out;
	}
	if (S_ISDIR(st.st_mode)) {
		*err = -EISDIR;
		goto out;
	}
	buf = malloc(FILE_MAX_BYTES + 1);
	if (!buf) {
		*err = -ENOMEM;
		goto out;
	}
	while (*len <= FILE_MAX_BYTES && (n = read(fd, buf + *len, FILE_MAX_BYTES + 1 - *len)) > 0)
		*len += (size_t)n;
	*err = n < 0 ? -errno : *len > FILE_MAX_BYTES ? -EFBIG : 0;
out:
	if (fd >= 0)
		close(fd);
	if (*err < 0) {
		free(buf);
		buf = NULL;
	}
	return buf;
}

int spate_config_load(const char *path, const struct spate_config_overrides *overrides,
		      struct spate_config **out, struct spate_config_report *report)
{
	struct spate_config *cfg;
	char *text, *kept;
	size_t len;
	int ret = 0;

	if (!path)
		return spate_config_parse(no_file, NULL, 0, overrides, out, report);
	text = slurp(path, &len, &ret);
	if (!text) {
		spate_report_error(report, path, NULL, "cannot read the configuration: %s",
				   strerror(-ret));
		return ret;
	}
	ret = spate_config_parse(path, text, len, overrides, &cfg, report);
	free(text);
	if (ret < 0)
		return ret;
	kept = strdup(path);
	if (!kept) {
		spate_config_free(cfg);
		return -ENOMEM;
	}
	cfg->path = kept;
	*out = cfg;
	return 0;
}

int spate_config_reload(const struct spate_config *old, struct spate_config **out,
			struct spate_config_report *report)
{
	return spate_config_load(old->path, old->overrides, out, report);
}

void spate_config_free(struct spate_config *cfg)
{
	if (!cfg)
		return;
	free(cfg->path);
	free(cfg->where);
	spate_schema_free(cfg);
}

/* event.c: see event.h. One event log a process, as there is one stderr. */
#include "control/log/event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const struct spate_event_info spate_events[SPATE_EVENT_IDS] = {
#define SPATE_EVENT(name, level, text, fields) {#name, SPATE_SEV_##level, text, fields},
#include "spate/tbl/events.def"
#undef SPATE_EVENT
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
	int fd;     /* of path, ours to close; else stderr */
	char *path; /* NULL: stderr */
	bool json;
	enum spate_event_sev level;
	struct {
		time_t second;
		uint32_t lines;      /* written in that second */
		uint64_t suppressed; /* since the last line written */
	} rate[SPATE_EVENT_IDS];
} elog = {.fd = STDERR_FILENO, .level = SPATE_SEV_INFO};

static void add_key(struct spate_text *t, bool json, const char *key)
{
	if (json) {
		spate_text_lit(t, ",");
		spate_text_json(t, key, strlen(key));
		spate_text_lit(t, ":");
	} else {
		spate_text_lit(t, " ");
		spate_text_str(t, key);
		spate_text_lit(t, "=");
	}
}

static void add_field(struct spate_text *t, bool json, const struct spate_field *f)
{
	const char *s = f->s;

	add_key(t, json, f->key);
	switch (f->kind) {
	case SPATE_FIELD_U64:
		spate_text_u64(t, f->u);
		return;
	case SPATE_FIELD_I64:
		spate_text_i64(t, (int64_t)f->u);
		return;
	case SPATE_FIELD_ERR:
		s = strerrordesc_np(abs((int)(int64_t)f->u));
		break;
	default:
		break;
	}
	if (s == NULL)
		s = "unknown";
	/* The same quoting in both formats: a text line is as safe to show and as easy to split. */
	spate_text_json(t, s,
			f->kind == SPATE_FIELD_STR && s == f->s && f->n != SIZE_MAX ? f->n
										    : strlen(s));
}

void spate_event_format(struct spate_text *t, bool json, int64_t now_us, enum spate_event_id id,
			const struct spate_field *fields, uint64_t suppressed)
{
	const struct spate_event_info *info = &spate_events[id];
	const struct spate_field count = SPATE_F_U64("suppressed", suppressed);
	size_t tail = json ? 1 : 0;

	t->cap -= tail; /* the closing brace always fits */
	spate_text_str(t, json ? "{\"time\":\"" : "");
	spate_text_iso(t, now_us);
	spate_text_str(t, json ? "\",\"level\":\"" : " ");
	spate_text_str(t, level_names[info->level]);
	spate_text_str(t, json ? "\",\"event\":\"" : " ");
	spate_text_str(t, info->name);
	spate_text_str(t, json ? "\",\"text\":" : ": ");
	if (json)
		spate_text_json(t, info->text, strlen(info->text));
	else
		spate_text_str(t, info->text);
	if (suppressed != 0)
		add_field(t, json, &count);
	for (const struct spate_field *f = fields; f->kind != SPATE_FIELD_END && !t->full; f++) {
		size_t mark = t->len;

		add_field(t, json, f);
		if (t->full)
			t->len = mark; /* never half a field */
	}
	t->cap += tail;
	t->full = false;
	if (json)
		spate_text_lit(t, "}");
}

/* True when this event may be written now; then *suppressed is what to report with it. */
static bool allowed(enum spate_event_id id, time_t now, uint64_t *suppressed)
{
	if (elog.rate[id].second != now) {
		elog.rate[id].second = now;
		elog.rate[id].lines = 0;
	}
	if (elog.rate[id].lines == SPATE_EVENT_BURST) {
		elog.rate[id].suppressed++;
		return false;
	}
	elog.rate[id].lines++;
	*suppressed = elog.rate[id].suppressed;
	elog.rate[id].suppressed = 0;
	return true;
}

void spate_event_write(enum spate_event_id id, const struct spate_field *fields)
{
	char line[SPATE_EVENT_LINE];
	struct spate_text t = SPATE_TEXT(line, sizeof(line) - 1);
	struct pollfd pfd = {.fd = elog.fd, .events = POLLOUT};
	struct timespec now;
	uint64_t suppressed;

	if (spate_events[id].level > elog.level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!allowed(id, now.tv_sec, &suppressed))
		return;
	spate_event_format(&t, elog.json, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, id,
			   fields, suppressed);
	line[t.len++] = '\n';
	/* O_NONBLOCK on stderr would be seen by everyone who shares it, the shell included: ask
	 * first. */
	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0 &&
	    write(elog.fd, line, t.len) >= 0)
		return;
	elog.rate[id].suppressed += suppressed + 1;
}

static int open_path(const char *path, int *fd)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
	return *fd < 0 ? -errno : 0;
}

int spate_event_open(const struct spate_event_setup *setup)
{
	char *path = NULL;
	int fd = STDERR_FILENO;

	if (setup->path != NULL && strcmp(setup->path, "stderr") != 0) {
		int err = open_path(setup->path, &fd);

		if (err != 0)
			return err;
		path = strdup(setup->path);
		if (path == NULL) {
			close(fd);
			return -ENOMEM;
		}
	}
	spate_event_close();
	elog.fd = fd;
	elog.path = path;
	elog.json = setup->json;
	elog.level = setup->level;
	return 0;
}

int spate_event_reopen(void)
{
	int fd, err;

	if (elog.path == NULL)
		return 0;
	err = open_path(elog.path, &fd);
	if (err != 0)
		return err;
	close(elog.fd);
	elog.fd = fd;
	return 0;
}

void spate_event_close(void)
{
	if (elog.path != NULL)
		close(elog.fd);
	free(elog.path);
	memset(&elog, 0, sizeof(elog));
	elog.fd = STDERR_FILENO;
	elog.level = SPATE_SEV_INFO;
}

int spate_event_sev_of(const char *name)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

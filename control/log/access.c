/*
 * access.c: see access.h. Workers do not wake control for a log record (that would cost them a
 * syscall), so a timer looks into the rings: every TICK_BUSY_MS while records come, up to
 * TICK_IDLE_MS when none do.
 */
#include "control/log/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/log/event.h"

#define TICK_BUSY_MS 5
#define TICK_IDLE_MS 50
#define AGAIN_MS     20   /* a sink that is non-blocking and full */
#define LEAVE_MS     1000 /* a sink that is to be left takes not a byte: then without it */

/* A batch is sent once it has BATCH bytes, or at the tick; any single record's line fits an empty
 * buffer, and in memory there is as much once more, for the rest of a line. */
#define BATCH   (256 * 1024)
#define BUF_CAP (SPATE_LOG_LINE_MAX(&(struct spate_log_record){.bytes = UINT16_MAX}))

struct batch {
	char *mem;
	struct spate_text text;
	uint32_t records; /* lines that end here */
	bool begun;       /* with the rest of a line: the sink has its beginning */
};

struct spate_access {
	struct spate_access_setup s;
	char *path;
	int fd; /* -1: off */
	/* A sink to change to when the write in flight has ended. */
	char *next_path;
	int next_fd;
	bool changing;

	struct batch batch[2];
	unsigned filling; /* index of the one that takes lines; the other is `writing`, or empty */
	size_t written;   /* bytes of the other one that the sink has taken */
	struct spate_op op;
	struct spate_timer tick, again, leave;
	uint32_t tick_ms;
	bool writing; /* from the first write of a batch to its last byte, retries included */
	bool closing; /* start nothing more */
};

#define OWNER(p, member) \
	((struct spate_access *)(void *)((char *)(p)-offsetof(struct spate_access, member)))

static void on_written(struct spate_op *op, int res, unsigned flags);
static void on_tick(struct spate_timer *t);

static int open_sink(const char *path, int *fd)
{
	if (strcmp(path, "off") == 0)
		*fd = -1;
	else if (strcmp(path, "stdout") == 0)
		*fd = STDOUT_FILENO;
	else if (strcmp(path, "stderr") == 0)
		*fd = STDERR_FILENO;
	else {
		/* O_NONBLOCK: a FIFO without a reader is an error, not a wait. */
		*fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
		if (*fd < 0)
			return -errno;
		/* Cleared again: with it, io_uring would give up instead of waiting for room. */
		fcntl(*fd, F_SETFL, O_APPEND);
	}
	return 0;
}

static void close_sink(int fd)
{
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Puts lines into the batch that fills until it has BATCH bytes or the rings are empty. True: there
 * were some. */
static bool drain(struct spate_access *a)
{
	struct batch *b = &a->batch[a->filling];
	uint32_t before = b->records;

	for (unsigned i = 0; i < a->s.nrings; i++) {
		const struct spate_log_record *rec;

		while (b->text.len < BATCH && (rec = spate_log_ring_peek(a->s.rings[i])) != NULL) {
			if (!spate_log_format(a->s.format, rec, &b->text))
				break;
			b->records++;
			spate_log_ring_next(a->s.rings[i]);
		}
	}
	return b->records != before;
}

static void discard(struct spate_access *a)
{
	for (unsigned i = 0; i < a->s.nrings; i++)
		while (spate_log_ring_peek(a->s.rings[i]) != NULL)
			spate_log_ring_next(a->s.rings[i]);
}

static void change_sink(struct spate_access *a)
{
	close_sink(a->fd);
	free(a->path);
	a->fd = a->next_fd;
	a->path = a->next_path;
	a->next_path = NULL;
	a->changing = false;
	spate_loop_timer_stop(a->s.loop, &a->leave);
	if (a->fd < 0) {
		struct batch *b = &a->batch[a->filling]; /* left from a sink that refused it */

		SPATE_COUNT_N(a->s.stats, log_dropped, b->records);
		b->text.len = 0;
		b->records = 0;
		b->begun = false;
		discard(a);
	} else
		spate_event(log_reopened, SPATE_F_STR("path", a->path));
}

static void write_rest(struct spate_access *a)
{
	struct batch *b = &a->batch[!a->filling];

	/* Offset -1: where the file's O_APPEND, or the pipe, says. */
	spate_loop_write(a->s.loop, &a->op, a->fd, b->text.p + a->written,
			 (unsigned)(b->text.len - a->written), UINT64_MAX, on_written);
}

/* Sends what has been formatted, unless a write is under way. */
static void start_write(struct spate_access *a)
{
	if (a->writing || a->fd < 0 || a->batch[a->filling].text.len == 0)
		return;
	a->filling = !a->filling;
	a->written = 0;
	a->writing = true;
	write_rest(a);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/*
 * The sink takes no more of the batch. What it has of it whole is written, the rest is dropped; but
 * where it has a part of a line, the other part comes first with the next batch, for space may
 * come back, and the line after it is not to be glued to a half. A pipe's next reader knows nothing
 * of that line.
 *
 *     a line \n a line \n a li|ne \n a line \n        |: written
 *                             ^^^^^ before the next batch
 */
static void refused(struct spate_access *a, int err)
{
	struct batch *b = &a->batch[!a->filling], *next = &a->batch[a->filling];
	const char *p = b->text.p, *rest = p + a->written;
	uint32_t whole = 0;
	bool begun = a->written > 0 ? rest[-1] != '\n' : b->begun;

	for (const char *s = p; (s = memchr(s, '\n', (size_t)(rest - s))) != NULL; s++)
		whole++;
	SPATE_COUNT_N(a->s.stats, log_written, whole);
	b->records -= whole;
	if (begun && !a->closing && err != -EPIPE &&
	    (!a->changing || same_file(a->fd, a->next_fd))) {
		size_t n =
			(size_t)((char *)memchr(rest, '\n', b->text.len - a->written) - rest) + 1;

		memmove(next->text.p + n, next->text.p, next->text.len);
		memcpy(next->text.p, rest, n);
		next->text.len += n;
		next->records++;
		next->begun = true;
		b->records--;
	}
	SPATE_COUNT_N(a->s.stats, log_dropped, b->records);
	if (b->records > 0 && !a->closing)
		spate_event(log_write_failed, SPATE_F_STR("path", a->path), SPATE_F_ERR(err),
			    SPATE_F_U64("records", b->records));
}

/* err 0: it was written to its end. */
static void end_batch(struct spate_access *a, int err)
{
	struct batch *b = &a->batch[!a->filling];

	if (err == 0)
		SPATE_COUNT_N(a->s.stats, log_written, b->records);
	else
		refused(a, err);
	b->text.len = 0;
	b->records = 0;
	b->begun = false;
	a->writing = false;
	if (a->closing)
		return;
	if (a->changing) {
		/* Lines formatted before the change belong to the old sink while that takes them. */
		if (err == 0 && a->batch[a->filling].text.len > 0) {
			start_write(a);
			return;
		}
		change_sink(a);
	}
	if (a->fd < 0)
		return;
	drain(a);
	if (a->batch[a->filling].text.len >= BATCH)
		start_write(a); /* there is a lot: do not wait for the tick */
}

static void on_again(struct spate_timer *t)
{
	write_rest(OWNER(t, again));
}

/* It is to be left, and took nothing for so long. */
static void on_leave(struct spate_timer *t)
{
	struct spate_access *a = OWNER(t, leave);

	if (!a->changing)
		return;
	if (a->op.busy) {
		spate_loop_cancel(a->s.loop, &a->op);
		spate_loop_timer(a->s.loop, &a->leave, LEAVE_MS, on_leave);
	} else {
		spate_loop_timer_stop(a->s.loop, &a->again);
		end_batch(a, -ETIMEDOUT);
	}
}

static void on_written(struct spate_op *op, int res, unsigned flags)
{
	struct spate_access *a = OWNER(op, op);
	struct batch *b = &a->batch[!a->filling];

	if ((res == -EAGAIN || res == -EINTR) && !a->closing) {
		spate_loop_timer(a->s.loop, &a->again, AGAIN_MS, on_again);
		return;
	}
	if (res > 0) {
		a->written += (size_t)res;
		if (a->changing)
			spate_loop_timer(a->s.loop, &a->leave, LEAVE_MS, on_leave);
		if (a->written < b->text.len && !a->closing) {
			write_rest(a);
			return;
		}
	}
	end_batch(a, a->written == b->text.len ? 0
		     : res == -ECANCELED       ? -ETIMEDOUT
		     : res < 0                 ? res
					       : -EIO);
}

static void on_tick(struct spate_timer *t)
{
	struct spate_access *a = OWNER(t, tick);

	if (a->fd < 0) {
		discard(a); /* a worker that has not heard of the change yet */
		a->tick_ms = TICK_IDLE_MS;
	} else {
		if (!a->changing && drain(a))
			a->tick_ms = TICK_BUSY_MS;
		else if (a->tick_ms < TICK_IDLE_MS)
			a->tick_ms++;
		start_write(a);
	}
	spate_loop_timer(a->s.loop, &a->tick, a->tick_ms, on_tick);
}

int spate_access_set(struct spate_access *a, const char *path, enum spate_log_format format)
{
	char *copy = strdup(path);
	int fd, err;

	if (copy == NULL)
		return -ENOMEM;
	err = open_sink(path, &fd);
	if (err != 0) {
		free(copy);
		return err;
	}
	if (a->changing) { /* a change that has not happened yet */
		close_sink(a->next_fd);
		free(a->next_path);
	}
	a->next_fd = fd;
	a->next_path = copy;
	a->changing = true;
	if (!a->writing && a->fd >= 0)
		drain(a);
	a->s.format = format;
	start_write(a);
	if (a->writing)
		spate_loop_timer(a->s.loop, &a->leave, LEAVE_MS, on_leave);
	else
		change_sink(a);
	return 0;
}

static void free_all(struct spate_access *a)
{
	close_sink(a->fd);
	free(a->path);
	free(a->batch[0].mem);
	free(a->batch[1].mem);
	free(a);
}

int spate_access_create(struct spate_access **out, const struct spate_access_setup *setup)
{
	struct spate_access *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	a->s = *setup;
	a->fd = -1;
	a->path = strdup(setup->path);
	for (int i = 0; i < 2; i++) {
		a->batch[i].mem = malloc(2 * BUF_CAP);
		a->batch[i].text = SPATE_TEXT(a->batch[i].mem, BUF_CAP);
	}
	if (a->path == NULL || a->batch[0].mem == NULL || a->batch[1].mem == NULL)
		goto fail;
	err = open_sink(setup->path, &a->fd);
	if (err != 0)
		goto fail;
	a->tick_ms = TICK_IDLE_MS;
	spate_loop_timer(a->s.loop, &a->tick, a->tick_ms, on_tick);
	*out = a;
	return 0;

fail:
	free_all(a);
	return err;
}

/* Something formatted or in flight is not with the sink yet. */
static bool pending(const struct spate_access *a)
{
	return a->writing || a->batch[a->filling].text.len > 0;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void spate_access_destroy(struct spate_access *a, uint32_t flush_ms)
{
	uint64_t end;

	if (a == NULL)
		return;
	end = now_ms() + flush_ms;
	do {
		if (a->fd >= 0 && !a->changing)
			drain(a);
		start_write(a);
		if (a->writing)
			spate_loop_turn(a->s.loop, 5000);
	} while (a->fd >= 0 && pending(a) && now_ms() < end);
	a->closing = true;
	spate_loop_timer_stop(a->s.loop, &a->tick);
	spate_loop_timer_stop(a->s.loop, &a->again);
	spate_loop_timer_stop(a->s.loop, &a->leave);
	/* The kernel reads the buffer until the write has ended. */
	for (int turns = 0; a->op.busy && turns < 100; turns++) {
		spate_loop_cancel(a->s.loop, &a->op);
		spate_loop_turn(a->s.loop, 10000);
	}
	if (a->writing && !a->op.busy) /* it was to be tried again */
		end_batch(a, -ETIMEDOUT);
	SPATE_COUNT_N(a->s.stats, log_dropped, a->batch[a->filling].records);
	if (a->changing) {
		close_sink(a->next_fd);
		free(a->next_path);
	}
	if (!a->op.busy) /* else a sink that cannot be cancelled, a dead network disk: leak, not
			    corrupt */
		free_all(a);
}

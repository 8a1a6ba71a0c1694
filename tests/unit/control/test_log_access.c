/* The access log's writer over a real loop and real files, FIFOs and rings; workers are the test
 * itself. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/log/access.h"

#define RING (256 * 1024)

struct env {
	struct spate_loop *loop;
	struct spate_log_ring ring[2], *rings[2];
	struct spate_stats stats;
	struct spate_access *log;
	char dir[64], path[96], old[96];
	char *text;
};

static int setup(void **state)
{
	struct env *e = aligned_alloc(64, sizeof(*e));

	memset(e, 0, sizeof(*e));
	strcpy(e->dir, "/tmp/spate-test-access.XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	snprintf(e->path, sizeof(e->path), "%s/log", e->dir);
	snprintf(e->old, sizeof(e->old), "%s/log.1", e->dir);
	assert_int_equal(spate_loop_create(&e->loop, 0), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spate_log_ring_init(&e->ring[i], RING), 0);
		e->rings[i] = &e->ring[i];
	}
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	spate_access_destroy(e->log, 0);
	spate_loop_destroy(e->loop);
	spate_log_ring_finish(&e->ring[0]);
	spate_log_ring_finish(&e->ring[1]);
	unlink(e->path);
	unlink(e->old);
	rmdir(e->dir);
	free(e->text);
	free(e);
	return 0;
}

static void open_log(struct env *e)
{
	struct spate_access_setup s = {.loop = e->loop,
				       .rings = e->rings,
				       .nrings = 2,
				       .stats = &e->stats,
				       .path = e->path,
				       .format = SPATE_LOG_LINE_COMBINED};

	assert_int_equal(spate_access_create(&e->log, &s), 0);
}

/* A worker logs GET /N. False: the ring is full. */
static bool request(struct env *e, unsigned ring, unsigned n)
{
	char url[32];
	uint16_t len = (uint16_t)snprintf(url, sizeof(url), "/%u", n);
	struct spate_log_record *rec =
		spate_log_ring_claim(e->rings[ring], (uint16_t)(sizeof(*rec) + len));

	if (rec == NULL)
		return false;
	*rec = (struct spate_log_record){
		.bytes = rec->bytes, .url_len = len, .method = 1, .status = 200};
	memcpy(rec->text, url, len);
	spate_log_ring_commit(e->rings[ring], rec);
	return true;
}

/* Turns the loop until `n` records were written or dropped; bounded, for a broken writer. */
static void settle(struct env *e, uint64_t n)
{
	for (int i = 0; i < 2000 && e->stats.log_written + e->stats.log_dropped < n; i++)
		spate_loop_turn(e->loop, 10000);
	assert_int_equal(e->stats.log_written + e->stats.log_dropped, n);
}

static const char *slurp(struct env *e, const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;

	free(e->text);
	e->text = calloc(1, 1 << 20);
	assert_non_null(f);
	n = fread(e->text, 1, (1 << 20) - 1, f);
	fclose(f);
	assert_true(n == 0 || e->text[n - 1] == '\n');
	return e->text;
}

static unsigned lines(const char *s)
{
	unsigned n = 0;

	while ((s = strchr(s, '\n')) != NULL) {
		s++;
		n++;
	}
	return n;
}

static void test_records_of_all_workers_reach_the_file(void **state)
{
	struct env *e = *state;

	open_log(e);
	request(e, 0, 1);
	request(e, 1, 2);
	settle(e, 2);
	slurp(e, e->path);
	assert_int_equal(lines(e->text), 2);
	assert_non_null(strstr(e->text, "GET /1 "));
	assert_non_null(strstr(e->text, "GET /2 "));
}

static void test_destroy_writes_what_is_left(void **state)
{
	struct env *e = *state;

	open_log(e);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(request(e, i & 1, i));
	spate_access_destroy(e->log, 5000);
	e->log = NULL;
	assert_int_equal(lines(slurp(e, e->path)), 1000);
}

static void test_rotation_loses_no_line(void **state)
{
	struct env *e = *state;
	unsigned before;

	open_log(e);
	for (unsigned i = 0; i < 100; i++)
		request(e, 0, i);
	settle(e, 100);
	request(e, 0, 100); /* not written yet when the file moves */
	assert_int_equal(rename(e->path, e->old), 0);
	assert_int_equal(spate_access_set(e->log, e->path, SPATE_LOG_LINE_COMBINED), 0);
	request(e, 0, 101);
	settle(e, 102);
	before = lines(slurp(e, e->old));
	assert_int_equal(before, 101);
	assert_int_equal(lines(slurp(e, e->path)), 1);
	assert_non_null(strstr(e->text, "GET /101 "));
}

static void test_format_changes_with_the_next_line(void **state)
{
	struct env *e = *state;

	open_log(e);
	request(e, 0, 1);
	assert_int_equal(spate_access_set(e->log, e->path, SPATE_LOG_LINE_JSON), 0);
	request(e, 0, 2);
	settle(e, 2);
	slurp(e, e->path);
	assert_non_null(strstr(e->text, "GET /1 "));
	assert_non_null(strstr(e->text, "\"url\":\"/2\""));
}

static void test_bad_path_keeps_the_old_log(void **state)
{
	struct env *e = *state;

	open_log(e);
	assert_true(spate_access_set(e->log, e->dir, SPATE_LOG_LINE_COMBINED) < 0);
	request(e, 0, 1);
	settle(e, 1);
	assert_int_equal(lines(slurp(e, e->path)), 1);
}

static void test_off_empties_the_rings(void **state)
{
	struct env *e = *state;

	open_log(e);
	assert_int_equal(spate_access_set(e->log, "off", SPATE_LOG_LINE_COMBINED), 0);
	for (unsigned i = 0; i < 10; i++)
		request(e, 0, i);
	for (int i = 0; i < 100 && spate_log_ring_peek(e->rings[0]) != NULL; i++)
		spate_loop_turn(e->loop, 10000);
	assert_null(spate_log_ring_peek(e->rings[0]));
	assert_int_equal(lines(slurp(e, e->path)), 0);
}

/* Nobody reads the FIFO: the loop goes on, memory stays bounded, the worker sees a full ring. */
static void test_slow_sink_fills_the_ring_and_loses_nothing_accepted(void **state)
{
	struct env *e = *state;
	unsigned accepted = 0, refused = 0, seen = 0;
	char buf[4096];
	int fd;

	assert_int_equal(mkfifo(e->path, 0600), 0);
	fd = open(e->path, O_RDWR | O_NONBLOCK);
	assert_true(fd >= 0);
	open_log(e);
	for (int turn = 0; turn < 500 && refused < 1000; turn++) {
		for (unsigned i = 0; i < 100; i++)
			if (request(e, 0, accepted))
				accepted++;
			else
				refused++;
		spate_loop_turn(e->loop, 1000);
	}
	assert_true(refused >= 1000);
	for (int i = 0; i < 5000 && seen < accepted; i++) {
		ssize_t n;

		while ((n = read(fd, buf, sizeof(buf))) > 0)
			for (ssize_t k = 0; k < n; k++)
				seen += buf[k] == '\n';
		spate_loop_turn(e->loop, 10000);
	}
	assert_int_equal(seen, accepted);
	assert_int_equal(e->stats.log_dropped, 0);
	close(fd);
}

static void test_reader_gone_is_counted(void **state)
{
	struct env *e = *state;
	int fd;

	assert_int_equal(mkfifo(e->path, 0600), 0);
	fd = open(e->path, O_RDONLY | O_NONBLOCK);
	open_log(e);
	close(fd);
	request(e, 0, 1);
	settle(e, 1);
	assert_int_equal(e->stats.log_dropped, 1);
	fd = open(e->path, O_RDONLY | O_NONBLOCK); /* and when one comes back it goes on */
	request(e, 0, 2);
	settle(e, 2);
	assert_int_equal(e->stats.log_written, 1);
	close(fd);
}

static void test_stuck_sink_does_not_hold_up_the_end(void **state)
{
	struct env *e = *state;
	int fd;

	assert_int_equal(mkfifo(e->path, 0600), 0);
	fd = open(e->path, O_RDWR | O_NONBLOCK);
	open_log(e);
	for (unsigned i = 0; request(e, 0, i); i++)
		;
	spate_access_destroy(e->log, 50);
	e->log = NULL;
	assert_true(e->stats.log_dropped > 0);
	close(fd);
}

/* --- a full disk: a limit on the file's size ends a write in the middle just so --- */

static void set_limit(rlim_t bytes)
{
	struct rlimit lim;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = bytes == 0 ? lim.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

static int teardown_full(void **state)
{
	set_limit(0);
	return teardown(state);
}

/* GET /0 to GET /199, of which the disk took some and a part of one more. */
static void fill_disk(struct env *e)
{
	open_log(e);
	set_limit(4000);
	for (unsigned i = 0; i < 200; i++)
		assert_true(request(e, 0, i));
	settle(e, 199); /* the one that was begun is neither written nor dropped */
	assert_true(e->stats.log_written > 10 && e->stats.log_dropped > 10);
}

/* Each line is one record's, to its last field, and the first `from` are of /0, /1, ... */
static void expect_whole(const char *s, unsigned from)
{
	unsigned n = 0;
	char url[32];

	for (const char *end; *s != '\0'; s = end + 1, n++) {
		const char *get = strstr(s, "\"GET /");

		end = strchr(s, '\n');
		assert_memory_equal(end - 5, " none", 5);
		assert_true(get != NULL && get < end);
		get = strstr(get + 1, "\"GET /");
		assert_true(get == NULL || get > end);
		snprintf(url, sizeof(url), "\"GET /%u ", n);
		assert_true(n >= from || (strstr(s, url) != NULL && strstr(s, url) < end));
	}
}

static void test_a_full_disk_leaves_no_half_line(void **state)
{
	struct env *e = *state;
	unsigned whole;

	fill_disk(e);
	whole = (unsigned)e->stats.log_written;
	request(e, 0, 200); /* and it is full still */
	settle(e, 200);
	assert_int_equal(e->stats.log_written, whole);
	set_limit(0);
	request(e, 0, 201);
	settle(e, 202);
	assert_int_equal(e->stats.log_written, whole + 2);
	assert_int_equal(lines(slurp(e, e->path)), whole + 2);
	expect_whole(e->text, whole + 1);
	assert_non_null(strstr(e->text, "\"GET /201 "));
}

static void test_a_line_goes_on_in_the_same_file_after_a_reload(void **state)
{
	struct env *e = *state;
	unsigned whole;

	fill_disk(e);
	whole = (unsigned)e->stats.log_written;
	assert_int_equal(spate_access_set(e->log, e->path, SPATE_LOG_LINE_COMBINED), 0);
	for (int i = 0; i < 10; i++)
		spate_loop_turn(e->loop, 10000);
	set_limit(0);
	settle(e, 200);
	assert_int_equal(lines(slurp(e, e->path)), whole + 1);
	expect_whole(e->text, whole + 1);
}

static void test_a_new_file_begins_with_a_line(void **state)
{
	struct env *e = *state;

	fill_disk(e);
	assert_int_equal(rename(e->path, e->old), 0);
	assert_int_equal(spate_access_set(e->log, e->path, SPATE_LOG_LINE_COMBINED), 0);
	settle(e, 200);
	set_limit(0);
	request(e, 0, 200);
	settle(e, 201);
	assert_int_equal(lines(slurp(e, e->path)), 1);
	assert_non_null(strstr(e->text, "\"GET /200 "));
	expect_whole(e->text, 0);
}

/* Its reader lives and reads nothing: the reload does not wait for it. */
static void test_a_stuck_reader_does_not_hold_up_a_reload(void **state)
{
	struct env *e = *state;
	unsigned n = 0;
	int fd;

	assert_int_equal(mkfifo(e->path, 0600), 0);
	fd = open(e->path, O_RDONLY | O_NONBLOCK);
	open_log(e);
	for (unsigned ring = 0; ring < 2; ring++)
		while (request(e, ring, n)) /* two batches, and a pipe holds less than one */
			n++;
	for (int i = 0; i < 20; i++)
		spate_loop_turn(e->loop, 10000);
	assert_int_equal(spate_access_set(e->log, e->old, SPATE_LOG_LINE_COMBINED), 0);
	settle(e, n);
	/* Of the one it has begun with; the next goes to the new sink. */
	assert_in_range(e->stats.log_dropped, 1, n / 2);
	assert_in_range(lines(slurp(e, e->old)), n / 3, n);
	expect_whole(e->text, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_records_of_all_workers_reach_the_file),
		T(test_destroy_writes_what_is_left),
		T(test_rotation_loses_no_line),
		T(test_format_changes_with_the_next_line),
		T(test_bad_path_keeps_the_old_log),
		T(test_off_empties_the_rings),
		T(test_slow_sink_fills_the_ring_and_loses_nothing_accepted),
		T(test_reader_gone_is_counted),
		T(test_stuck_sink_does_not_hold_up_the_end),
		T(test_a_stuck_reader_does_not_hold_up_a_reload),
#define F(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown_full)
		F(test_a_full_disk_leaves_no_half_line),
		F(test_a_line_goes_on_in_the_same_file_after_a_reload),
		F(test_a_new_file_begins_with_a_line),
#undef F
#undef T
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

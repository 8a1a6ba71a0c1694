/* A directory of hashes: whole files or none, and no more bytes than it may have. */
#include "control/torrent/store.h"
#include "record_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MANIFEST "/film/stream.mpd"

static const uint64_t sizes[] = {1000, 70000};

static struct {
	char dir[64];
	struct spate_store *s;
} f;

static int setup(void **state)
{
	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/spate-store-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	assert_int_equal(spate_store_create(&f.s, f.dir, 1 << 20), 0);
	return 0;
}

static char *in_dir(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	return path;
}

/* How many entries; each is removed when `clear`. */
static unsigned entries(bool clear)
{
	DIR *d = opendir(f.dir);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			n++;
			if (clear && unlink(in_dir(e->d_name)) < 0)
				rmdir(in_dir(e->d_name));
		}
	closedir(d);
	return n;
}

static int teardown(void **state)
{
	spate_store_destroy(f.s);
	entries(true);
	rmdir(f.dir);
	return 0;
}

static int save(struct spate_store *s, const char *id)
{
	struct spate_record r;
	int rc;

	rig_record(&r, MANIFEST, id, sizes, 2);
	rc = spate_store_save(s, &r);
	spate_record_free(&r);
	return rc;
}

static int load(struct spate_store *s, const char *id)
{
	struct spate_record r;
	int rc = spate_store_load(s, MANIFEST, id, RIG_PIECE, &r);

	if (rc == 0)
		assert_int_equal(r.n, 2);
	else
		assert_null(r.parts);
	spate_record_free(&r);
	return rc;
}

static char *file_of(const char *id)
{
	char name[SPATE_STORE_NAME];

	spate_store_name(MANIFEST, id, RIG_PIECE, name);
	return in_dir(name);
}

static bool there(const char *id)
{
	return access(file_of(id), F_OK) == 0;
}

static off_t size_of(const char *id)
{
	struct stat st;

	assert_int_equal(stat(file_of(id), &st), 0);
	return st.st_size;
}

static void used_before(const char *id, time_t seconds)
{
	struct timespec t[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};

	assert_int_equal(utimensat(AT_FDCWD, file_of(id), t, 0), 0);
}

static void put_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static void what_was_saved_is_there_after_a_restart(void **state)
{
	assert_int_equal(load(f.s, "a"), -ENOENT);
	assert_int_equal(save(f.s, "a"), 0);
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, 1 << 20), 0);
	assert_int_equal(load(f.s, "a"), 0);
	assert_int_equal(load(f.s, "b"), -ENOENT);
	assert_int_equal(entries(false), 1);
}

static void each_manifest_id_and_piece_has_a_name_of_its_own(void **state)
{
	static const struct {
		const char *manifest, *id;
		uint32_t piece;
	} of[] = {
		{"/a", "bc", 16384}, {"/ab", "c", 16384}, {"/a", "bc", 32768}, {"/a", "bd", 16384}};
	char name[4][SPATE_STORE_NAME];

	for (int i = 0; i < 4; i++) {
		spate_store_name(of[i].manifest, of[i].id, of[i].piece, name[i]);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name[i], name[k]);
	}
}

static void what_was_removed_is_gone(void **state)
{
	save(f.s, "a");
	assert_int_equal(spate_store_remove(f.s, MANIFEST, "a", RIG_PIECE), 0);
	assert_int_equal(load(f.s, "a"), -ENOENT);
	assert_int_equal(spate_store_remove(f.s, MANIFEST, "a", RIG_PIECE), 0);
}

static void a_spoilt_file_is_removed(void **state)
{
	static const char *const how[] = {"", "short",
					  "a file that is long enough to be looked at, "
					  "but of something else"};

	for (int i = 0; i < 3; i++) {
		put_file(file_of("a"), how[i], strlen(how[i]));
		assert_int_equal(load(f.s, "a"), -EBADMSG);
		assert_false(there("a"));
	}
	assert_int_equal(save(f.s, "a"), 0);
	assert_int_equal(load(f.s, "a"), 0);
}

static void a_truncated_file_is_removed(void **state)
{
	for (off_t n = 0;; n += 7) {
		assert_int_equal(save(f.s, "a"), 0);
		if (n >= size_of("a"))
			break;
		assert_int_equal(truncate(file_of("a"), n), 0);
		assert_int_equal(load(f.s, "a"), -EBADMSG);
		assert_false(there("a"));
	}
}

/* Whole, but under a name that is not its own. */
static void a_file_of_something_else_is_removed(void **state)
{
	char from[512];

	save(f.s, "b");
	strcpy(from, file_of("b"));
	assert_int_equal(rename(from, file_of("a")), 0);
	assert_int_equal(load(f.s, "a"), -EBADMSG);
	assert_false(there("a"));
}

static void no_link_is_followed_and_no_pipe_waited_for(void **state)
{
	char name[512];

	save(f.s, "b");
	save(f.s, "a");
	strcpy(name, file_of("a"));
	assert_int_equal(rename(name, in_dir("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", name), 0);
	assert_int_equal(load(f.s, "a"), -EBADMSG);
	assert_int_equal(access(in_dir("elsewhere"), F_OK), 0);
	assert_int_equal(mkfifo(file_of("a"), 0600), 0);
	assert_int_equal(load(f.s, "a"), -EBADMSG);
	assert_int_equal(load(f.s, "b"), 0);
}

static void beyond_the_bound_what_was_used_longest_ago_goes(void **state)
{
	off_t one;

	save(f.s, "a");
	one = size_of("a");
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, (uint64_t)one * 3), 0);
	save(f.s, "b");
	save(f.s, "c");
	used_before("a", 30);
	used_before("b", 20);
	used_before("c", 10);
	assert_int_equal(load(f.s, "a"), 0); /* used: now b is the oldest */
	assert_int_equal(save(f.s, "d"), 0);
	assert_true(there("a") && !there("b") && there("c") && there("d"));
	assert_int_equal(save(f.s, "e"), 0);
	assert_true(there("a") && !there("c") && there("d") && there("e"));
	used_before("d", 40);
	used_before("a", 30);
	assert_int_equal(spate_store_touch(f.s, MANIFEST, "d", RIG_PIECE), 0);
	assert_int_equal(spate_store_touch(f.s, MANIFEST, "nobody", RIG_PIECE), 0);
	assert_int_equal(save(f.s, "f"), 0);
	assert_true(!there("a") && there("d"));
}

static void a_smaller_bound_is_kept_from_the_start(void **state)
{
	off_t one;

	save(f.s, "a");
	save(f.s, "b");
	one = size_of("a");
	used_before("b", 20);
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, (uint64_t)one), 0);
	assert_true(there("a") && !there("b"));
}

static void what_is_larger_than_the_store_is_not_written(void **state)
{
	off_t one;

	save(f.s, "a");
	one = size_of("a");
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, (uint64_t)one - 1), 0);
	assert_int_equal(save(f.s, "a"), -EFBIG);
	assert_int_equal(entries(false), 0); /* and the bound took the old one */
}

/* Whoever else keeps files here keeps them. */
static void what_is_not_ours_is_not_touched(void **state)
{
	static const char *const name[] = {"notes.txt", "0123.hashes",
					   "0123456789abcdef0123456789abcdeF.hashes", ".hidden"};
	char big[4096] = {0};

	for (int i = 0; i < 4; i++)
		put_file(in_dir(name[i]), big, sizeof(big));
	save(f.s, "a");
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, 1), 0);
	assert_false(there("a"));
	assert_int_equal(entries(false), 4);
}

/* As a crash between write and rename leaves it: the old file counts, and the rest goes in time. */
static void a_crash_while_writing_leaves_the_old_file(void **state)
{
	struct timespec old[2] = {{.tv_sec = time(NULL) - SPATE_STORE_STRAY_S - 5},
				  {.tv_sec = time(NULL) - SPATE_STORE_STRAY_S - 5}};

	save(f.s, "a");
	put_file(in_dir(".spate-0000000000000001"), "half a", 6);
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, 1 << 20), 0);
	assert_int_equal(load(f.s, "a"), 0);
	assert_int_equal(entries(false), 2); /* another edge may be writing it now */
	utimensat(AT_FDCWD, in_dir(".spate-0000000000000001"), old, 0);
	assert_int_equal(save(f.s, "b"), 0);
	assert_int_equal(entries(false), 2);
	assert_int_equal(load(f.s, "a"), 0);
}

/* Killed at any moment: each file that has its name is whole. */
static void a_writer_killed_at_any_moment_spoils_nothing(void **state)
{
	for (int i = 0; i < 30; i++) {
		struct timespec t = {.tv_nsec = 200000L + i * 100000L};
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				save(f.s, "a");
		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (there("a"))
			assert_int_equal(load(f.s, "a"), 0);
	}
	assert_int_equal(save(f.s, "a"), 0);
	assert_int_equal(load(f.s, "a"), 0);
}

/* The disk is full: said, the old file stays, nothing half is left. */
static void a_write_that_fails_leaves_the_old_file(void **state)
{
	struct rlimit was, tiny;
	int rc;

	save(f.s, "a");
	getrlimit(RLIMIT_FSIZE, &was);
	tiny = (struct rlimit){100, was.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tiny);
	rc = save(f.s, "a");
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(entries(false), 1);
	assert_int_equal(load(f.s, "a"), 0);
}

static void a_directory_that_cannot_be_had_is_said(void **state)
{
	struct spate_store *s = NULL;

	put_file(in_dir("file"), "", 0);
	assert_int_equal(spate_store_create(&s, in_dir("no/such"), 1 << 20), -ENOENT);
	assert_int_equal(spate_store_create(&s, in_dir("file"), 1 << 20), -ENOTDIR);
	assert_null(s);
}

static void a_directory_that_cannot_be_written_is_said(void **state)
{
	struct spate_store *s = NULL;
	bool root = geteuid() == 0;
	int rc;

	chmod(f.dir, 0555);
	if (root && seteuid(65534) < 0)
		fail();
	rc = spate_store_create(&s, f.dir, 1 << 20);
	if (root && seteuid(0) < 0)
		fail();
	chmod(f.dir, 0700);
	assert_int_equal(rc, -EACCES);
	assert_null(s);
}

static void a_directory_that_goes_away_is_said(void **state)
{
	rmdir(f.dir);
	assert_int_equal(save(f.s, "a"), -ENOENT);
	assert_int_equal(load(f.s, "a"), -ENOENT);
	assert_int_equal(mkdir(f.dir, 0700), 0);
}

static void two_edges_in_one_directory_do_no_harm(void **state)
{
	struct spate_store *other;
	off_t one;
	int status;
	pid_t pid;

	save(f.s, "0");
	one = size_of("0");
	spate_store_destroy(f.s);
	assert_int_equal(spate_store_create(&f.s, f.dir, (uint64_t)one * 4), 0);
	pid = fork();
	if (pid == 0)
		assert_int_equal(spate_store_create(&other, f.dir, (uint64_t)one * 4), 0);
	for (int i = 0; i < 100; i++) {
		char id[2] = {(char)('0' + i % 6), '\0'};
		int rc = save(pid == 0 ? other : f.s, id);

		rc = rc == 0 ? load(pid == 0 ? other : f.s, id) : rc;
		if (rc != 0 && rc != -ENOENT) {
			if (pid == 0)
				_exit(1);
			fail_msg("%d", rc);
		}
	}
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_true(entries(false) <= 4);
	for (char id[2] = "0"; id[0] < '6'; id[0]++)
		assert_true(!there(id) || load(f.s, id) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_saved_is_there_after_a_restart),
		TEST(each_manifest_id_and_piece_has_a_name_of_its_own),
		TEST(what_was_removed_is_gone),
		TEST(a_spoilt_file_is_removed),
		TEST(a_truncated_file_is_removed),
		TEST(a_file_of_something_else_is_removed),
		TEST(no_link_is_followed_and_no_pipe_waited_for),
		TEST(beyond_the_bound_what_was_used_longest_ago_goes),
		TEST(a_smaller_bound_is_kept_from_the_start),
		TEST(what_is_larger_than_the_store_is_not_written),
		TEST(what_is_not_ours_is_not_touched),
		TEST(a_crash_while_writing_leaves_the_old_file),
		TEST(a_writer_killed_at_any_moment_spoils_nothing),
		TEST(a_write_that_fails_leaves_the_old_file),
		TEST(a_directory_that_cannot_be_had_is_said),
		TEST(a_directory_that_cannot_be_written_is_said),
		TEST(a_directory_that_goes_away_is_said),
		TEST(two_edges_in_one_directory_do_no_harm),
	};

	return cmocka_run_group_tests_name("torrent store", tests, NULL, NULL);
}

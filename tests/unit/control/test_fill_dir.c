/* A directory as an origin: names, links, permissions, files that change. */
#include "fill_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig r;
static char base[64], root[80];

static void put(const char *name, const void *p, size_t n)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

/* base/secret lies beside base/root, which is what the origin may show. */
static int open_dir(void **state)
{
	strcpy(base, "/tmp/spate-dir-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(root, sizeof(root), "%s/root", base);
	assert_int_equal(mkdir(root, 0755), 0);
	put("secret", "secret", 6);
	put("root/a b.mp4", "hello", 5);
	rig_open(&r, NULL, root);
	return 0;
}

static int close_dir(void **state)
{
	char cmd[128];

	rig_close(&r);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", base);
	return system(cmd);
}

static struct rig_miss *get(const char *url)
{
	struct rig_miss *m = rig_fetch(&r, url, NULL);

	rig_until_replies(&r, r.misses);
	rig_until_idle(&r);
	return m;
}

static void link_to(const char *target, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static void a_file_becomes_an_object(void **state)
{
	struct rig_miss *m = get("/a%20b.mp4?v=1");
	const struct spate_meta *meta = atomic_load(&m->object->meta);

	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, "hello", 5);
	assert_memory_equal(meta->head, "Content-Type: video/mp4\r\n", 25);
	assert_true(meta->etag_len > 2);
	assert_true(meta->last_modified_s > 0);
}

static void a_large_file_comes_whole(void **state)
{
	size_t n = (1 << 20) + 12345;
	char *p = malloc(n);
	struct rig_miss *m;

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 31 + i / 4096);
	put("root/big", p, n);
	m = get("/big");
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, p, n);
	free(p);
}

static void an_empty_file_is_a_file(void **state)
{
	put("root/empty", "", 0);
	assert_int_equal(atomic_load(&get("/empty")->object->state), SPATE_OBJECT_COMPLETE);
}

static void what_is_no_file_is_not_found(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/fifo", root);
	assert_int_equal(mkfifo(path, 0644), 0);
	snprintf(path, sizeof(path), "%s/sub", root);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(get("/none")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/sub")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/fifo")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/a%20b.mp4/")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/a%00b")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/sub%2f..")->verdict, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(get("/a%2")->verdict, SPATE_FETCH_NOT_FOUND);
}

static void nothing_leads_out(void **state)
{
	link_to("../secret", "up");
	link_to("/etc/passwd", "abs");
	link_to("..", "dots");
	link_to("/proc/self/cwd", "magic");
	assert_int_equal(get("/up")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("/abs")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("/dots/secret")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("/magic/etc/passwd")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("/../secret")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("/%2e%2e/secret")->verdict, SPATE_FETCH_FORBIDDEN);
	assert_int_equal(get("//etc/passwd")->verdict, SPATE_FETCH_NOT_FOUND);
}

static void a_link_inside_is_followed(void **state)
{
	link_to("a b.mp4", "alias");
	rig_assert_body(&r, get("/alias")->object, "hello", 5);
}

static void a_file_we_may_not_read_is_forbidden(void **state)
{
	char path[256];

	bool root_user = geteuid() == 0;

	snprintf(path, sizeof(path), "%s/a b.mp4", root);
	assert_int_equal(chmod(base, 0755), 0);
	assert_int_equal(chmod(path, 0), 0);
	/* root may read everything, so ask as somebody else: io_uring takes the submitter's rights
	 */
	if (root_user)
		assert_int_equal(seteuid(65534), 0);
	rig_fetch(&r, "/a%20b.mp4", NULL);
	rig_until_replies(&r, 1);
	if (root_user)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r.miss[0].verdict, SPATE_FETCH_FORBIDDEN);
}

static void an_unchanged_file_is_refreshed(void **state)
{
	struct spate_object *o = get("/a%20b.mp4")->object;
	struct rig_miss *m;

	rig_expire(o);
	m = rig_fetch(&r, "/a%20b.mp4", o);
	rig_until_replies(&r, 2);
	assert_ptr_equal(m->object, o);
	assert_true(atomic_load(&o->expires_s) > time(NULL) - 1);
	assert_int_equal(rig_count(&r.stats.origin_304), 1);
}

static void a_changed_file_replaces_the_object(void **state)
{
	struct spate_object *o = get("/a%20b.mp4")->object;
	struct rig_miss *m;

	rig_expire(o);
	put("root/a b.mp4", "changed", 7);
	m = rig_fetch(&r, "/a%20b.mp4", o);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	rig_assert_body(&r, m->object, "changed", 7);
	assert_ptr_equal(rig_lookup(&r, "/a%20b.mp4"), m->object);
}

static void a_removed_file_takes_its_object_along(void **state)
{
	struct spate_object *o = get("/a%20b.mp4")->object;
	char path[256];

	rig_expire(o);
	snprintf(path, sizeof(path), "%s/a b.mp4", root);
	unlink(path);
	assert_int_equal(rig_fetch(&r, "/a%20b.mp4", o)->replied, false);
	rig_until_replies(&r, 2);
	assert_int_equal(r.miss[1].verdict, SPATE_FETCH_NOT_FOUND);
	assert_null(rig_lookup(&r, "/a%20b.mp4"));
}

/* Longer than one read, so that the change falls between the head and the end. */
static void a_file_that_changes_while_it_is_read_is_no_object(void **state)
{
	size_t n = 3 << 20;
	char *p = calloc(1, n);

	put("root/big", p, n);
	rig_fetch(&r, "/big", NULL);
	rig_until_replies(&r, 1);
	assert_true(atomic_load(&r.miss[0].object->filled) < n);
	put("root/big", p, n); /* same size, another time */
	rig_until_idle(&r);
	assert_int_equal(atomic_load(&r.miss[0].object->state), SPATE_OBJECT_FAILED);
	assert_null(rig_lookup(&r, "/big"));
	free(p);
}

static void a_file_that_shrinks_is_no_object(void **state)
{
	size_t n = 3 << 20;
	char *p = calloc(1, n);

	put("root/big", p, n);
	rig_fetch(&r, "/big", NULL);
	rig_until_replies(&r, 1);
	put("root/big", p, 10);
	rig_until_idle(&r);
	assert_int_equal(atomic_load(&r.miss[0].object->state), SPATE_OBJECT_FAILED);
	free(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_dir, close_dir)
	const struct CMUnitTest tests[] = {
		T(a_file_becomes_an_object),
		T(a_large_file_comes_whole),
		T(an_empty_file_is_a_file),
		T(what_is_no_file_is_not_found),
		T(nothing_leads_out),
		T(a_link_inside_is_followed),
		T(a_file_we_may_not_read_is_forbidden),
		T(an_unchanged_file_is_refreshed),
		T(a_changed_file_replaces_the_object),
		T(a_removed_file_takes_its_object_along),
		T(a_file_that_changes_while_it_is_read_is_no_object),
		T(a_file_that_shrinks_is_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Names to addresses: literals, the hosts file, failures, sharing, dropping. No network is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control/origin/dns.h"

static struct spate_loop *loop;
static struct spate_dns *dns;

static int setup(void **state)
{
	assert_int_equal(spate_loop_create(&loop, 0), 0);
	return spate_dns_create(&dns, loop);
}

static int teardown(void **state)
{
	spate_dns_destroy(dns);
	spate_loop_destroy(loop);
	return 0;
}

struct asked {
	struct spate_dns_query q;
	int calls, error;
	unsigned n;
	struct spate_dns_addr first;
};

static void on_addrs(struct spate_dns_query *q, int error, const struct spate_dns_addr *addrs,
		     unsigned n)
{
	struct asked *a = (struct asked *)q;

	a->calls++;
	a->error = error;
	a->n = n;
	if (n > 0)
		a->first = addrs[0];
}

static void until_answered(struct asked *a)
{
	for (int i = 0; i < 1500 && a->calls == 0; i++)
		spate_loop_turn(loop, 20000);
	assert_int_equal(a->calls, 1);
}

static _Atomic int gate, refuse; /* of hang.test; the error of flaky.test */
static _Atomic long ahead_s;     /* of the clock */

/* In the C library's stead: two names that no resolver has to know. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **out)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (real == NULL)
		real = (int (*)(const char *, const char *, const struct addrinfo *,
				struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
	if (strstr(host, ".test") == NULL)
		return real(host, service, hints, out);
	if ((hints->ai_flags & AI_NUMERICHOST) != 0)
		return EAI_NONAME;
	while (strcmp(host, "hang.test") == 0 && !atomic_load(&gate))
		usleep(1000);
	if (strcmp(host, "flaky.test") == 0 && atomic_load(&refuse) != 0)
		return atomic_load(&refuse);
	return real("127.0.0.1", service, hints, out);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	ts->tv_sec += atomic_load(&ahead_s);
	return rc;
}

static void a_literal_needs_no_resolver(void **state)
{
	struct asked a = {0}, b = {0};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&b.first.sa;

	assert_int_equal(spate_dns_ask(dns, &a.q, "192.0.2.7", 8080, on_addrs), 0);
	assert_int_equal(spate_dns_ask(dns, &b.q, "2001:db8::1", 81, on_addrs), 0);
	assert_int_equal(a.calls, 0); /* never from inside ask */
	spate_loop_turn(loop, 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(((struct sockaddr_in *)&a.first.sa)->sin_addr.s_addr, htonl(0xc0000207));
	assert_int_equal(((struct sockaddr_in *)&a.first.sa)->sin_port, htons(8080));
	assert_int_equal(b.calls, 1);
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(81));
}

static void a_name_is_resolved_and_kept(void **state)
{
	struct asked a = {0}, b = {0};

	assert_int_equal(spate_dns_ask(dns, &a.q, "localhost", 80, on_addrs), 0);
	until_answered(&a);
	assert_int_equal(a.error, 0);
	assert_true(a.n > 0);
	assert_int_equal(spate_dns_ask(dns, &b.q, "localhost", 80, on_addrs), 0);
	spate_loop_turn(loop, 0); /* one turn: from memory, not from the thread */
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.n, a.n);
}

static void all_who_ask_meanwhile_are_answered(void **state)
{
	struct asked a[20] = {0};

	for (int i = 0; i < 20; i++)
		assert_int_equal(spate_dns_ask(dns, &a[i].q, "localhost", 80, on_addrs), 0);
	until_answered(&a[0]);
	for (int i = 0; i < 20; i++)
		assert_int_equal(a[i].calls, 1);
}

static void a_bad_name_is_an_error(void **state)
{
	struct asked a = {0};

	assert_int_equal(spate_dns_ask(dns, &a.q, "bad name..", 80, on_addrs), 0);
	until_answered(&a);
	assert_int_not_equal(a.error, 0);
	assert_int_equal(a.n, 0);
}

static void who_has_dropped_is_not_called(void **state)
{
	struct asked a = {0}, b = {0};

	assert_int_equal(spate_dns_ask(dns, &a.q, "localhost", 80, on_addrs), 0);
	assert_int_equal(spate_dns_ask(dns, &b.q, "localhost", 80, on_addrs), 0);
	spate_dns_drop(dns, &a.q);
	spate_dns_drop(dns, &a.q);
	until_answered(&b);
	assert_int_equal(a.calls, 0);
}

static void destroy_with_a_lookup_under_way(void **state)
{
	struct asked a = {0};

	assert_int_equal(spate_dns_ask(dns, &a.q, "localhost", 80, on_addrs), 0);
	spate_dns_drop(dns, &a.q);
}

/* One name server that does not answer must not keep all other names waiting. */
static void a_name_that_hangs_holds_up_no_other(void **state)
{
	struct asked hang = {0}, fine = {0};

	atomic_store(&gate, 0);
	assert_int_equal(spate_dns_ask(dns, &hang.q, "hang.test", 80, on_addrs), 0);
	assert_int_equal(spate_dns_ask(dns, &fine.q, "fine.test", 80, on_addrs), 0);
	for (int i = 0; i < 100 && fine.calls == 0; i++)
		spate_loop_turn(loop, 20000);
	atomic_store(&gate, 1);
	assert_int_equal(fine.calls, 1);
	until_answered(&hang);
}

/* RFC 8767: an old answer is better than none; but that a name is gone is an answer. */
static void the_old_answer_stands_in_for_a_failure(void **state)
{
	struct asked a[3] = {0};

	atomic_store(&refuse, 0);
	spate_dns_ask(dns, &a[0].q, "flaky.test", 80, on_addrs);
	until_answered(&a[0]);
	atomic_fetch_add(&ahead_s, SPATE_DNS_KEEP_MS / 1000 + 1);
	atomic_store(&refuse, EAI_AGAIN);
	spate_loop_turn(loop, 0);
	spate_dns_ask(dns, &a[1].q, "flaky.test", 80, on_addrs);
	until_answered(&a[1]);
	assert_int_equal(a[1].error, 0);
	assert_int_equal(a[1].n, a[0].n);
	atomic_fetch_add(&ahead_s, SPATE_DNS_KEEP_MS / 1000 + 1);
	atomic_store(&refuse, EAI_NONAME);
	spate_loop_turn(loop, 0);
	spate_dns_ask(dns, &a[2].q, "flaky.test", 80, on_addrs);
	until_answered(&a[2]);
	assert_int_equal(a[2].error, EAI_NONAME);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_literal_needs_no_resolver),         T(a_name_is_resolved_and_kept),
		T(all_who_ask_meanwhile_are_answered),  T(a_bad_name_is_an_error),
		T(who_has_dropped_is_not_called),       T(destroy_with_a_lookup_under_way),
		T(a_name_that_hangs_holds_up_no_other), T(the_old_answer_stands_in_for_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

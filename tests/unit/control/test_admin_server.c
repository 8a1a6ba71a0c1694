/* The admin endpoint's HTTP over real sockets; the client is blocking sockets of the test, turned
 * in between. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin/server.h"

#define MAX  4
#define BODY (3 * 1024 * 1024)

struct env {
	struct spate_loop *loop;
	struct spate_server *srv;
	unsigned asked;
	char in[BODY + 4096];
};

/* Echoes the path; /big is larger than any socket buffer. */
static void answer(void *ctx, const struct spate_http_request *req, struct spate_response *out)
{
	struct env *e = ctx;

	e->asked++;
	if (spate_slice_eq(req->path, SPATE_SLICE("/big"))) {
		*out = (struct spate_response){200, "text/plain", NULL, malloc(BODY), BODY};
		memset(out->body, 'b', BODY);
		return;
	}
	spate_response_text(out, 200, "text/plain", "<%.*s>", (int)req->path.len, req->path.p);
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	assert_int_equal(spate_loop_create(&e->loop, 0), 0);
	assert_int_equal(spate_server_open(&e->srv, e->loop, (struct sockaddr *)&sin, sizeof(sin),
					   MAX, answer, e),
			 0);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	if (e->srv != NULL)
		spate_server_close(e->srv);
	spate_loop_destroy(e->loop);
	free(e);
	return 0;
}

static int dial(struct env *e)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(spate_server_port(e->srv))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void say(int fd, const char *s)
{
	assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), strlen(s));
}

/* Turns the loop until `want` bytes came or the server closed; returns the bytes, in e->in.
 * Bounded. */
static size_t hear(struct env *e, int fd, size_t want, bool *closed)
{
	size_t n = 0;

	*closed = false;
	for (int i = 0; i < 3000 && n < want && !*closed; i++) {
		ssize_t got = recv(fd, e->in + n, sizeof(e->in) - 1 - n, MSG_DONTWAIT);

		if (got > 0)
			n += (size_t)got;
		else if (got == 0 || errno != EAGAIN)
			*closed = true;
		else
			spate_loop_turn(e->loop, 5000);
	}
	e->in[n] = '\0';
	return n;
}

/* One request on a connection of its own; the whole answer, which ends with the server's close. */
static const char *ask(struct env *e, const char *request)
{
	int fd = dial(e);
	bool closed;

	say(fd, request);
	hear(e, fd, SIZE_MAX, &closed);
	assert_true(closed);
	close(fd);
	return e->in;
}

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"

static void test_answers(void **state)
{
	const char *s = ask(*state, "GET /a HTTP/1.1\r\n" CLOSE);

	assert_int_equal(strncmp(s, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(s, "\r\nContent-Length: 4\r\n"));
	assert_non_null(strstr(s, "\r\nConnection: close\r\n"));
	assert_string_equal(strstr(s, "\r\n\r\n") + 4, "</a>");
}

static void test_head_has_no_body(void **state)
{
	const char *s = ask(*state, "HEAD /a HTTP/1.1\r\n" CLOSE);

	assert_non_null(strstr(s, "\r\nContent-Length: 4\r\n"));
	assert_string_equal(strstr(s, "\r\n\r\n") + 4, "");
}

static void test_keep_alive_and_pipelining(void **state)
{
	struct env *e = *state;

	ask(e, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 "
	       "HTTP/1.1\r\n" CLOSE);
	assert_int_equal(e->asked, 3);
	assert_non_null(strstr(e->in, "</1>HTTP/1.1 200 OK"));
	assert_non_null(strstr(e->in, "</2>HTTP/1.1 200 OK"));
	assert_non_null(strstr(e->in, "</3>"));
}

static void test_head_in_pieces(void **state)
{
	struct env *e = *state;
	static const char req[] = "GET /slow HTTP/1.1\r\n" CLOSE;
	int fd = dial(e);
	bool closed;

	for (const char *p = req; *p != '\0'; p++) {
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
		spate_loop_turn(e->loop, 0);
	}
	hear(e, fd, SIZE_MAX, &closed);
	assert_non_null(strstr(e->in, "</slow>"));
	close(fd);
}

static void test_big_body_arrives_whole(void **state)
{
	struct env *e = *state;
	const char *body = strstr(ask(e, "GET /big HTTP/1.1\r\n" CLOSE), "\r\n\r\n") + 4;

	assert_int_equal(strspn(body, "b"), BODY);
	assert_int_equal(body[BODY], '\0');
}

static void test_what_is_refused(void **state)
{
	struct env *e = *state;
	char *large = malloc(64 * 1024);
	char *p = stpcpy(large, "GET / HTTP/1.1\r\nHost: x\r\nX: ");

	assert_non_null(strstr(ask(e, "nonsense\r\n\r\n"), "HTTP/1.1 400 "));
	assert_non_null(strstr(ask(e, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 ")); /* no Host */
	assert_non_null(
		strstr(ask(e, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
		       "HTTP/1.1 413 "));
	memset(p, 'a', 20000);
	strcpy(p + 20000, "\r\n\r\n");
	assert_non_null(strstr(ask(e, large), "HTTP/1.1 431 "));
	assert_int_equal(e->asked, 0);
	free(large);
}

/* A health check comes through however many idle clients hold on. */
static void test_one_more_than_max_takes_the_place_of_the_idlest(void **state)
{
	struct env *e = *state;
	int fd[MAX];
	bool closed;

	for (int i = 0; i < MAX; i++) {
		fd[i] = dial(e);
		say(fd[i], "GET /k HTTP/1.1\r\nHost: x\r\n\r\n");
		hear(e, fd[i], 1, &closed);
		assert_false(closed);
	}
	assert_non_null(strstr(ask(e, "GET /z HTTP/1.1\r\n" CLOSE), "</z>"));
	assert_int_equal(hear(e, fd[0], 1, &closed), 0);
	assert_true(closed);
	say(fd[1], "GET /1 HTTP/1.1\r\n" CLOSE);
	hear(e, fd[1], SIZE_MAX, &closed);
	assert_non_null(strstr(e->in, "</1>"));
	for (int i = 0; i < MAX; i++)
		close(fd[i]);
}

/* All are reading a large answer slowly: then there is no room. */
static void test_more_than_max_are_closed_when_all_are_busy(void **state)
{
	struct env *e = *state;
	int fd[MAX + 1];
	bool closed;

	for (int i = 0; i < MAX; i++) {
		fd[i] = dial(e);
		say(fd[i], "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (int i = 0; i < 1000 && e->asked < MAX; i++)
		spate_loop_turn(e->loop, 1000);
	fd[MAX] = dial(e);
	assert_int_equal(hear(e, fd[MAX], 1, &closed), 0);
	assert_true(closed);
	for (int i = 0; i <= MAX; i++)
		close(fd[i]);
}

/* Ends in the middle of everything: a head half sent, an answer half read, an idle connection. */
static void test_close_with_connections_in_every_state(void **state)
{
	struct env *e = *state;
	int half = dial(e), reading = dial(e), idle = dial(e);

	say(half, "GET / HT");
	say(reading, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 20; i++)
		spate_loop_turn(e->loop, 1000);
	spate_server_close(e->srv);
	e->srv = NULL;
	close(half);
	close(reading);
	close(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_answers),
		T(test_head_has_no_body),
		T(test_keep_alive_and_pipelining),
		T(test_head_in_pieces),
		T(test_big_body_arrives_whole),
		T(test_what_is_refused),
		T(test_one_more_than_max_takes_the_place_of_the_idlest),
		T(test_more_than_max_are_closed_when_all_are_busy),
		T(test_close_with_connections_in_every_state),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

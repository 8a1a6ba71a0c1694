/* Neighbour discovery: what is valid (RFC 4861 7.1), and what it makes of a neighbour (7.2). */
#include "dataplane/net/board.h"
#include "world.h"

#define SECOND    1000000u
#define ROUTER    0x80
#define SOLICITED 0x40
#define OVERRIDE  0x20

static const uint8_t mac_other[6] = {2, 0, 0, 0, 0, 9};

/* A message without its checksum; mac NULL: no option. */
static uint8_t *nd(uint8_t type, const char *src, const char *dst, const char *target,
		   const uint8_t *mac)
{
	uint8_t *m = ip6_from(src, dst, 58, mac != NULL ? 32 : 24), group[16];

	ip_of(dst, group);
	if (group[0] == 0xff) {
		memcpy(frame, "\x33\x33", 2);
		memcpy(frame + 2, group + 12, 4);
	}
	frame[14 + 7] = 255;
	m[0] = type;
	ip_of(target, m + 8);
	if (mac != NULL) {
		m[24] = type == 135 ? 1 : 2;
		m[25] = 1;
		memcpy(m + 26, mac, 6);
	}
	return m;
}

/* fd00::2 says where it is. */
static void na(uint8_t flags, const uint8_t *mac)
{
	nd(136, "fd00::2", "fd00::1", "fd00::2", mac)[4] = flags;
	give(frame, seal(2));
}

static void ns(const char *src, const uint8_t *mac)
{
	nd(135, src, "ff02::1:ff00:1", "fd00::1", mac);
	give(frame, seal(2));
}

static void drain(void)
{
	spate_net_flush(us.net);
	while (take())
		;
}

/* Turns for so long; did we ask `mac` alone in that time whether it is still there? */
static bool probed(const uint8_t mac[6], unsigned s)
{
	bool yes = false;

	drain();
	for (unsigned i = 0; i < 10 * s; i++) {
		us.now_us += SECOND / 10;
		host_turn(&us);
		while (take())
			yes |= memcmp(us.out, mac, 6) == 0 &&
			       (us.out[13] == 6 || (us.out[13] == 0xdd && us.out[54] == 135));
	}
	return yes;
}

/* A packet on the path leaves at once, to mac. */
static void assert_sends(struct spate_net_path *p, const uint8_t mac[6])
{
	drain();
	assert_true(send_bare(&us, p));
	assert_true(take());
	assert_memory_equal(us.out, mac, 6);
	assert_int_not_equal(p->gen, 0);
}

/* --- what is valid: 7.1 --- */

/* The message made above is refused: no answer, nothing learnt. */
static void assert_refused(const char *what)
{
	uint64_t before = count(SPATE_NET_DROP_ND);

	give(frame, seal(2));
	if (count(SPATE_NET_DROP_ND) != before + 1 || take())
		fail_msg("taken: %s", what);
}

/* 7.1.1. Each is wrong in one way alone. */
static void test_invalid_solicitations_are_refused(void **state)
{
	const char *const group = "ff02::1:ff00:1";
	struct spate_net_path p;
	uint8_t ip[16];

	ip_of("fd00::2:5", ip); /* so that ff02::1:ff02:5 is ours too */
	assert_int_equal(spate_net_add_address(us.net, 0, ip, 64), 0);
	nd(135, "fd00::2", group, "fd00::1", mac_peer);
	frame[14 + 7] = 254;
	assert_refused("came through a router");
	nd(135, "fd00::2", group, "fd00::1", mac_peer)[1] = 1;
	assert_refused("code");
	nd(135, "fd00::2", group, group, mac_peer);
	assert_refused("target is a group");
	nd(135, "fd00::2", group, "fd00::1", mac_peer)[25] = 0;
	assert_refused("option of length 0");
	nd(135, "fd00::2", group, "fd00::1", mac_peer)[25] = 2;
	assert_refused("option longer than the message");
	nd(135, "fd00::2", group, "fd00::1", NULL);
	frame[14 + 5] = 23;
	assert_refused("short");
	nd(135, "fd00::2", group, "fd00::1", mac_all);
	assert_refused("from a group of MAC addresses");
	nd(135, "fd00::2", group, "fd00::1", NULL);
	assert_refused("asks all without saying from where (4.3)");
	nd(135, "::", group, "fd00::1", mac_peer);
	assert_refused("from nowhere, with an option");
	nd(135, "::", "ff02::1", "fd00::1", NULL);
	assert_refused("from nowhere, to all nodes");
	nd(135, "::", "ff02::1:ff02:5", "fd00::1", NULL);
	assert_refused("from nowhere, to another address's group");
	nd(135, "::", "fd00::1", "fd00::1", NULL);
	assert_refused("from nowhere, to us alone");
	assert_int_equal(path_to(&us, &p, "fd00::2"), 0);
	assert_int_equal(p.gen, 0);
}

/* 7.1.2 */
static void test_invalid_advertisements_are_refused(void **state)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "fd00::2"), 0);
	drain();
	nd(136, "fd00::2", "fd00::1", "fd00::2", mac_peer)[4] = SOLICITED;
	frame[14 + 7] = 254;
	assert_refused("came through a router");
	nd(136, "fd00::2", "fd00::1", "fd00::2", mac_peer)[1] = 1;
	assert_refused("code");
	nd(136, "fd00::2", "ff02::1", "fd00::2", mac_peer)[4] = SOLICITED | OVERRIDE;
	assert_refused("an answer to all");
	nd(136, "fd00::2", "fd00::1", "ff02::2", mac_peer)[4] = SOLICITED;
	assert_refused("about a group");
	nd(136, "fd00::2", "fd00::1", "fd00::2", mac_peer)[25] = 0;
	assert_refused("option of length 0");
	nd(136, "fd00::2", "fd00::1", "fd00::2", NULL);
	frame[14 + 5] = 23;
	assert_refused("short");
	assert_false(spate_net_resolve(us.net, &p));
	nd(136, "fd00::2", "ff02::1", "fd00::2", mac_peer)[4] = OVERRIDE;
	give(frame, seal(2)); /* to all, unasked: good */
	assert_sends(&p, mac_peer);
}

/* RFC 4862 5.4: somebody wants to use our address; he, who has none, must hear of it (7.2.4). */
static void test_who_probes_for_our_address_is_told(void **state)
{
	uint8_t all[16], ours[16];

	ns("::", NULL);
	assert_true(take());
	ip_of("ff02::1", all);
	ip_of("fd00::1", ours);
	assert_memory_equal(us.out, "\x33\x33\0\0\0\1", 6);
	assert_memory_equal(us.out + 14 + 8, ours, 16);
	assert_memory_equal(us.out + 14 + 24, all, 16);
	assert_int_equal(us.out[14 + 7], 255);
	assert_int_equal(us.out[54], 136);
	assert_int_equal(us.out[58], OVERRIDE);
	assert_memory_equal(us.out + 62, ours, 16);
	assert_memory_equal(us.out + 78, "\2\1", 2);
	assert_memory_equal(us.out + 80, mac_us, 6);
	assert_false(take());
	nd(135, "::", "ff02::1:ff00:1", "fd00::77:0:1", NULL); /* same group, another's address */
	give(frame, seal(2));
	assert_false(take());
	assert_int_equal(count(SPATE_NET_ND), 2);
}

/* --- what makes an asked one known: 7.2.3, 7.2.5 --- */

enum who { NA, NA_SOLICITED, NS, ARP_REQUEST, ARP_REPLY };

static void hear(enum who who)
{
	switch (who) {
	case NA:
	case NA_SOLICITED:
		na(who == NA ? OVERRIDE : SOLICITED, mac_peer);
		break;
	case NS:
		ns("fd00::2", mac_peer);
		break;
	case ARP_REQUEST:
	case ARP_REPLY:
		give(frame, arp(who == ARP_REQUEST ? 1 : 2, mac_peer, "10.0.0.2", "10.0.0.1"));
		break;
	}
}

static void test_only_an_answer_to_our_question_makes_reachable(void **state)
{
	for (enum who who = NA; who <= ARP_REPLY; who++)
		for (unsigned waiting = 0; waiting < 2; waiting++) {
			struct spate_net_path p;

			us_close(NULL);
			us_open(NULL);
			assert_int_equal(
				path_to(&us, &p, who < ARP_REQUEST ? "fd00::2" : "10.0.0.2"), 0);
			if (waiting)
				assert_true(send_bare(&us, &p));
			drain();
			hear(who);
			if (!waiting) /* not confirmed, but good to use at once */
				assert_sends(&p, mac_peer);
			assert_int_equal(probed(mac_peer, 6),
					 who != NA_SOLICITED && who != ARP_REPLY);
		}
}

/* --- what changes a known one: 7.2.5 --- */

static void known(struct spate_net_path *p)
{
	us_close(NULL);
	us_open(NULL);
	assert_int_equal(path_to(&us, p, "fd00::2"), 0);
	na(SOLICITED | OVERRIDE, mac_peer);
	assert_sends(p, mac_peer);
}

static void test_without_override_another_address_is_only_a_doubt(void **state)
{
	struct spate_net_path p;

	for (unsigned solicited = 0; solicited < 2; solicited++) {
		known(&p);
		na(solicited ? SOLICITED : 0, mac_other);
		assert_sends(&p, mac_peer);
		assert_false(probed(mac_peer, 3));
		na(solicited ? SOLICITED : 0, mac_other); /* in doubt already: no matter */
		assert_sends(&p, mac_peer);
		assert_true(probed(mac_peer, 3));
		na(SOLICITED, mac_peer); /* it is there after all */
		assert_sends(&p, mac_peer);
		assert_false(probed(mac_peer, 10));
	}
}

static void test_with_override_it_is_taken(void **state)
{
	struct spate_net_path p;

	for (unsigned solicited = 0; solicited < 2; solicited++) {
		known(&p);
		na(OVERRIDE | (solicited ? SOLICITED : 0), mac_other);
		assert_sends(&p, mac_other);
		assert_int_equal(probed(mac_other, 6), !solicited);
	}
}

static void test_the_same_address_unasked_changes_nothing(void **state)
{
	struct spate_net_path p;

	known(&p);
	na(OVERRIDE, mac_peer);
	na(0, mac_peer);
	na(0, NULL);
	assert_sends(&p, mac_peer);
	assert_false(probed(mac_peer, 10));
}

/* Each path looks again whenever the number moves: a stranger's request is no reason. */
static void test_a_new_neighbour_moves_nobody(void **state)
{
	uint32_t gen = spate_net_hot(us.net)->gen;

	ns("fd00::2", mac_peer);
	assert_int_equal(spate_net_hot(us.net)->gen, gen);
}

/* An answer to a unicast question may leave its option out (7.2.4); Linux does. */
static void test_an_answer_without_its_option_confirms(void **state)
{
	struct spate_net_path p;

	known(&p);
	while (!probed(mac_peer, 1))
		;
	na(SOLICITED, NULL);
	assert_false(probed(mac_peer, 10));
	assert_sends(&p, mac_peer);
}

/* Worker 0 hears the answers; worker 1 has what it makes of them by the board. */
static void test_the_other_workers_follow_the_same_rules(void **state)
{
	static struct spate_net_board board;
	struct spate_net_setup mine = {.seed = 1, .board = &board, .worker = 0},
			       theirs = {.seed = 2, .board = &board, .worker = 1};
	struct host other;
	struct spate_net_path p;
	unsigned asked = 0;

	us_close(NULL);
	spate_net_board_init(&board);
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, &mine);
	host_open(&other, mac_us, "10.0.0.1", "fd00::1", 0, &theirs);
	assert_int_equal(path_to(&other, &p, "fd00::2"), 0);
	na(SOLICITED, mac_peer);
	host_turn(&other);
	assert_true(spate_net_resolve(other.net, &p));
	assert_memory_equal(p.head, mac_peer, 6);
	na(0, mac_other);
	host_turn(&other);
	assert_true(spate_net_resolve(other.net, &p));
	assert_memory_equal(p.head, mac_peer, 6);
	for (unsigned i = 0; i < 1200; i++) { /* two minutes, each probe answered without option */
		other.now_us += SECOND / 10;
		us.now_us = other.now_us;
		host_turn(&other);
		while ((other.out_len =
				spate_mem_take(&other.port, other.out, sizeof(other.out))) != 0)
			if (memcmp(other.out, mac_peer, 6) == 0 && other.out[54] == 135) {
				asked++;
				na(SOLICITED, NULL);
			}
		assert_true(spate_net_resolve(other.net, &p));
	}
	assert_in_range(asked, 3, 9); /* once in 15 to 45 s */
	host_close(&other);
}

/* --- listeners: RFC 3810 --- */

/* A query, general with group "::"; code: the most it lets us wait, as in 5.1.3. */
static void query(const char *src, const char *group, uint16_t code, uint8_t len)
{
	uint8_t *hop = ip6_from(src, strcmp(group, "::") == 0 ? "ff02::1" : group, 0, 8u + len);
	uint8_t *m = hop + 8;
	uint16_t c;

	memcpy(frame, "\x33\x33\0\0\0\1", 6);
	frame[14 + 7] = 1;
	memcpy(hop, "\x3a\0\5\2\0\0\1\0", 8); /* router alert */
	m[0] = 130;
	spate_store16(m + 4, code);
	ip_of(group, m + 8);
	c = (uint16_t)~spate_csum_fold(spate_csum_plain(frame + 14 + 8, 32) +
				       __builtin_bswap16(58) + __builtin_bswap16(len) +
				       spate_csum_plain(m, len));
	memcpy(m + 2, &c, 2);
}

static void ask(const char *group, uint16_t code)
{
	query("fe80::1", group, code, 28);
	give(frame, 14 + 40 + 8 + 28);
}

/*
 * Reports in so many milliseconds, and when the first one and the last came. Each is checked; of
 * what group the last one was is in us.out.
 */
static unsigned reports(unsigned ms, unsigned *first, unsigned *last)
{
	const uint8_t *r = us.out + 14;
	unsigned n = 0;

	for (unsigned i = 0; i <= ms; i++, us.now_us += 1000) {
		host_turn(&us);
		while (take()) {
			assert_int_equal(r[6], 0); /* hop-by-hop, with router alert */
			assert_int_equal(r[7], 1);
			assert_int_equal(r[8], 0xfe); /* from our link-local address */
			assert_int_equal(r[48], 143);
			assert_int_equal(r[48 + 8], 2); /* MODE_IS_EXCLUDE: an answer (5.2.12) */
			if (n++ == 0)
				*first = i;
			*last = i;
		}
	}
	return n;
}

static void test_general_query_is_answered_for_each_group(void **state)
{
	unsigned first, last, early = 0, late = 0;

	for (unsigned i = 0; i < 40; i++) {
		ask("::", 1000);
		assert_int_equal(reports(1000, &first, &last), 2); /* link-local and fd00::1 */
		early += first < 300;
		late += first > 700;
		us.now_us += SECOND;
	}
	assert_true(early > 4 && late > 4); /* spread, or all of a link answer at once (6.2) */
}

static void test_query_for_one_group_is_answered_for_it(void **state)
{
	unsigned first, last;
	uint8_t ip[16], group[16];

	ip_of("fd00::2:5", ip);
	assert_int_equal(spate_net_add_address(us.net, 0, ip, 64), 0);
	ask("ff02::1:ff02:5", 500);
	assert_int_equal(reports(500, &first, &last), 1);
	ip_of("ff02::1:ff02:5", group);
	assert_memory_equal(us.out + 14 + 48 + 12, group, 16);
	ask("ff02::1:ff02:5", 0); /* at once */
	assert_int_equal(reports(0, &first, &last), 1);
	ask("ff02::1", 0); /* all nodes are in it, and nobody says so (6) */
	ask("ff02::1:ff02:6", 0);
	assert_int_equal(reports(100, &first, &last), 0);
}

/* 6.2: the earlier answer serves both queries, whichever came first. */
static void test_one_answer_serves_two_queries(void **state)
{
	unsigned first, last;

	for (unsigned i = 0; i < 20; i++) {
		ask("::", i % 2 ? 10000 : 10);
		ask("::", i % 2 ? 10 : 10000);
		assert_int_equal(reports(10000, &first, &last), 2);
		assert_true(last <= 10);
	}
}

/* 5.1.3: above 32767 it is a mantissa and an exponent. */
static void test_how_long_an_answer_may_wait(void **state)
{
	unsigned first, last, late = 0;

	for (unsigned i = 0; i < 10; i++) {
		ask("::", 0xa800); /* 0x1800 << 5 */
		assert_int_equal(reports(196608, &first, &last), 2);
		late += first > 0xa800;
	}
	assert_true(late > 2);
}

static void test_invalid_queries_are_not_answered(void **state)
{
	unsigned first, last;

	query("fd00::2", "::", 0, 28); /* not from a router's link-local address */
	give(frame, 14 + 40 + 8 + 28);
	query("fe80::1", "::", 0, 28);
	frame[14 + 7] = 2; /* from further away */
	give(frame, 14 + 40 + 8 + 28);
	query("fe80::1", "::", 0, 28);
	frame[14 + 40 + 2] = 1; /* padding where the router alert should be */
	give(frame, 14 + 40 + 8 + 28);
	query("fe80::1", "::", 0, 23); /* short */
	give(frame, 14 + 40 + 8 + 23);
	assert_int_equal(count(SPATE_NET_DROP_ICMP), 4);
	assert_int_equal(reports(1000, &first, &last), 0);
}

static void test_queries_are_answered_so_often_and_no_more(void **state)
{
	unsigned first, last;

	for (unsigned i = 0; i < 100; i++)
		ask("ff02::1:ff00:1", 0);
	while (take())
		;
	assert_int_equal(count(SPATE_NET_ND), 10);
	assert_int_equal(reports(0, &first, &last), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_invalid_solicitations_are_refused),
		T(test_invalid_advertisements_are_refused),
		T(test_who_probes_for_our_address_is_told),
		T(test_only_an_answer_to_our_question_makes_reachable),
		T(test_without_override_another_address_is_only_a_doubt),
		T(test_with_override_it_is_taken),
		T(test_the_same_address_unasked_changes_nothing),
		T(test_a_new_neighbour_moves_nobody),
		T(test_an_answer_without_its_option_confirms),
		T(test_the_other_workers_follow_the_same_rules),
		T(test_general_query_is_answered_for_each_group),
		T(test_query_for_one_group_is_answered_for_it),
		T(test_one_answer_serves_two_queries),
		T(test_how_long_an_answer_may_wait),
		T(test_invalid_queries_are_not_answered),
		T(test_queries_are_answered_so_often_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* parse.c: what a request costs before it is a key: the head, with each instruction set's scans,
 * and the URI. */
#include "shim.h"

#include "dataplane/http/request.h"
#include "dataplane/http/uri.h"

/* What wrk sends, what a browser's player sends, and the same for a part over a long signed URL. */
static const char *const heads[] = {
	"GET /live/ch1/v3/seg-000123.m4s HTTP/1.1\r\n"
	"Host: 127.0.0.1:8080\r\n"
	"User-Agent: wrk\r\n"
	"Accept: */*\r\n\r\n",

	"GET /vod/show/s01e04/1080p/seg-000123.m4s HTTP/1.1\r\n"
	"Host: edge.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/120.0.0.0 Safari/537.36\r\n"
	"Accept: */*\r\n"
	"Accept-Encoding: identity;q=1, *;q=0\r\n"
	"Origin: https://player.example.com\r\n"
	"Referer: https://player.example.com/watch\r\n"
	"Connection: keep-alive\r\n\r\n",

	"GET "
	"/vod/show/s01e04/1080p/video.mp4?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9"
	"lZGdlLmV4YW1wbGUuY29tL3ZvZC9zaG93L3MwMWUwNCJ9XX0_&Signature="
	"Q2hlY2tPbmUtVHdvfkFuZC1UaHJlZQ__"
	"&Key-Pair-Id=K2JCJMDEHXQW5F HTTP/1.1\r\n"
	"Host: edge.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/120.0.0.0 Safari/537.36\r\n"
	"Accept: */*\r\n"
	"Range: bytes=1048576-2097151\r\n"
	"If-Range: \"5f3e-61b2c9a0d4c40\"\r\n"
	"Origin: https://player.example.com\r\n"
	"Referer: https://player.example.com/watch\r\n\r\n",
};

static void parse(enum spate_isa isa, int64_t which, uint64_t n)
{
	const char *head = heads[which];
	size_t len = strlen(head);
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct spate_http_request r;

		spate_http_request_init(&r);
		spate_http_request_parse_as(isa, (const uint8_t *)head, len, &r);
		sum += r.path_query.len + r.range.len;
		spate_bench_keep((uint64_t)(uintptr_t)&r);
	}
	spate_bench_keep(sum);
	spate_bench_bytes(len);
}

static void run_plain(void *ctx, int64_t which, uint64_t n)
{
	(void)ctx;
	parse(SPATE_ISA_PLAIN, which, n);
}

static void run_sse42(void *ctx, int64_t which, uint64_t n)
{
	(void)ctx;
	parse(SPATE_ISA_SSE42, which, n);
}

static void run_avx2(void *ctx, int64_t which, uint64_t n)
{
	(void)ctx;
	parse(SPATE_ISA_AVX2, which, n);
}

/* 0: nothing to change; 1: escapes and dot segments. */
static void run_uri(void *ctx, int64_t which, uint64_t n)
{
	static const char *const uris[] = {
		"/vod/show/s01e04/1080p/seg-000123.m4s?token=ab12cd34",
		"/vod/show/./s01e04/%7euser/../1080p/seg%2d000123.m4s?token=ab%2f12cd34",
	};
	struct spate_slice in = spate_slice_of(uris[which], strlen(uris[which])), out;
	uint64_t sum = 0;
	char buf[300];

	(void)ctx;
	for (uint64_t i = 0; i < n; i++) {
		spate_http_uri_normalise(in, buf, sizeof(buf), &out);
		sum += out.len;
		spate_bench_keep((uint64_t)(uintptr_t)out.p);
	}
	spate_bench_keep(sum);
	spate_bench_bytes(in.len);
}

void spate_bench_parse(void);
void spate_bench_parse(void)
{
	static const int64_t which[] = {0, 1, 2};
	static const struct spate_bench benches[] = {
		{"parse/plain", NULL, run_plain, NULL, which, 3},
		{"parse/sse42", NULL, run_sse42, NULL, which, 3},
		{"parse/avx2", NULL, run_avx2, NULL, which, 3},
		{"uri", NULL, run_uri, NULL, which, 2},
	};

	for (unsigned i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		spate_bench_add(&benches[i]);
}

#include "dataplane/http/mime.h"

#define LITERAL(s)                  \
	{                           \
		"" s, sizeof(s) - 1 \
	}

static const struct {
	struct spate_slice extension; /* lower case, most asked first */
	struct spate_slice type;
} types[] = {
	/* DASH: RFC 6838 registrations of ISO/IEC 23009-1 and 14496-12. Audio segments may say
	   video too. */
	{LITERAL("m4s"), LITERAL("video/iso.segment")},
	{LITERAL("mpd"), LITERAL("application/dash+xml")},
	{LITERAL("mp4"), LITERAL("video/mp4")},
	{LITERAL("m4v"), LITERAL("video/mp4")},
	{LITERAL("m4a"), LITERAL("audio/mp4")},
	{LITERAL("m4f"), LITERAL("video/iso.segment")},
	{LITERAL("cmfv"), LITERAL("video/mp4")}, /* CMAF, ISO/IEC 23000-19 */
	{LITERAL("cmfa"), LITERAL("audio/mp4")},
	{LITERAL("cmft"), LITERAL("application/mp4")},
	{LITERAL("webm"), LITERAL("video/webm")},
	/* HLS: RFC 8216 4 */
	{LITERAL("ts"), LITERAL("video/mp2t")},
	{LITERAL("m3u8"), LITERAL("application/vnd.apple.mpegurl")},
	{LITERAL("aac"), LITERAL("audio/aac")},
	{LITERAL("mp3"), LITERAL("audio/mpeg")},
	{LITERAL("key"), LITERAL("application/octet-stream")},
	/* text tracks */
	{LITERAL("vtt"), LITERAL("text/vtt")},
	{LITERAL("ttml"), LITERAL("application/ttml+xml")},
	{LITERAL("srt"), LITERAL("application/x-subrip")},
	/* thumbnails and the page around the player */
	{LITERAL("jpg"), LITERAL("image/jpeg")},
	{LITERAL("jpeg"), LITERAL("image/jpeg")},
	{LITERAL("png"), LITERAL("image/png")},
	{LITERAL("webp"), LITERAL("image/webp")},
	{LITERAL("avif"), LITERAL("image/avif")},
	{LITERAL("gif"), LITERAL("image/gif")},
	{LITERAL("svg"), LITERAL("image/svg+xml")},
	{LITERAL("ico"), LITERAL("image/vnd.microsoft.icon")},
	{LITERAL("html"), LITERAL("text/html")},
	{LITERAL("htm"), LITERAL("text/html")},
	{LITERAL("js"), LITERAL("text/javascript")},
	{LITERAL("mjs"), LITERAL("text/javascript")},
	{LITERAL("css"), LITERAL("text/css")},
	{LITERAL("json"), LITERAL("application/json")},
	{LITERAL("xml"), LITERAL("application/xml")},
	{LITERAL("txt"), LITERAL("text/plain")},
	{LITERAL("wasm"), LITERAL("application/wasm")},
	{LITERAL("woff2"), LITERAL("font/woff2")},
	/* the rest an edge meets */
	{LITERAL("mkv"), LITERAL("video/x-matroska")},
	{LITERAL("mov"), LITERAL("video/quicktime")},
	{LITERAL("ogg"), LITERAL("audio/ogg")},
	{LITERAL("opus"), LITERAL("audio/ogg")},
	{LITERAL("flac"), LITERAL("audio/flac")},
	{LITERAL("wav"), LITERAL("audio/wav")},
	{LITERAL("pdf"), LITERAL("application/pdf")},
	{LITERAL("zip"), LITERAL("application/zip")},
	{LITERAL("torrent"), LITERAL("application/x-bittorrent")},
};

struct spate_slice spate_http_mime(struct spate_slice path)
{
	uint32_t at = path.len;

	while (at > 0 && path.p[at - 1] != '.' && path.p[at - 1] != '/')
		at--;
	if (at > 0 && path.p[at - 1] == '.') {
		struct spate_slice extension = spate_slice_of(path.p + at, path.len - at);

		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (spate_slice_is(extension, types[i].extension))
				return types[i].type;
	}
	return SPATE_SLICE("application/octet-stream");
}

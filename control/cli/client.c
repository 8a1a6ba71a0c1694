#include "control/cli/client.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int dial(const struct spate_config_addr *to)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(to->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(to->port)};
	struct timeval limit = {.tv_sec = SPATE_CLIENT_SECONDS};
	int fd = socket(to->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	memcpy(&in.sin_addr, to->ip + 12, 4);
	memcpy(&in6.sin6_addr, to->ip, 16);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect too: socket(7) */
	if (to->v6 ? connect(fd, (struct sockaddr *)&in6, sizeof(in6))
		   : connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		err = -errno;
		close(fd);
		return err == -EINPROGRESS ? -ETIMEDOUT : err;
	}
	return fd;
}

static int send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Everything until the peer closes, NUL-terminated. */
static int receive(int fd, char **out, size_t *len)
{
	size_t room = 1 << 16, have = 0;
	char *buf = malloc(room), *more;
	ssize_t n;
	int ret = -ENOMEM;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		n = recv(fd, buf + have, room - 1 - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		if (have + 1 < room)
			continue;
		ret = -EMSGSIZE;
		if (room >= SPATE_CLIENT_BYTES)
			goto fail;
		ret = -ENOMEM;
		more = realloc(buf, room * 2);
		if (!more)
			goto fail;
		buf = more;
		room *= 2;
	}
	ret = n == 0 ? 0 : errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (ret < 0)
		goto fail;
	buf[have] = '\0';
	*out = buf;
	*len = have;
	return 0;
fail:
	free(buf);
	return ret;
}

/*
 * The admin endpoint answers with Content-Length and closes after "Connection: close" (RFC
 * 9112 6.3, 9.6), so the body is what follows the head, and a shorter one was cut.
 */
static int split(char *text, size_t len, size_t *body)
{
	char *end = strstr(text, "\r\n\r\n");
	int status;

	if (sscanf(text, "HTTP/1.1 %3d", &status) != 1 || !end)
		return -EPROTO;
	*body = (size_t)(end - text) + 4;
	for (char *line = strstr(text, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, "Content-Length:", 15) == 0 &&
		    strtoull(line + 17, NULL, 10) != len - *body)
			return -EPROTO;
	return status;
}

int spate_client_request(const struct spate_config_addr *to, const char *method, const char *target,
			 char **body, size_t *len)
{
	char head[8192], *text = NULL;
	size_t total = 0, at = 0;
	int fd, n, ret;

	n = snprintf(head, sizeof(head),
		     "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", method, target,
		     to->text, strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(head))
		return -EMSGSIZE;
	fd = dial(to);
	if (fd < 0)
		return fd;
	ret = send_all(fd, head, (size_t)n);
	if (ret == 0)
		ret = receive(fd, &text, &total);
	close(fd);
	if (ret < 0)
		return ret;
	assert(text != NULL);
	ret = split(text, total, &at);
	if (ret < 0) {
		free(text);
		return ret;
	}
	*len = total - at;
	memmove(text, text + at, *len + 1);
	*body = text;
	return ret;
}

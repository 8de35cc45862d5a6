/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fairlead/http_ports.h"

/* "[ffff:…]:65535" */
#define LISTEN_STR_SIZE (ADDR_STR_SIZE + 9)
#define BACKLOG 128

int http_address_parse(const char *s, struct addr *ret_addr, uint16_t *ret_port, struct err *e)
{
	char host[LISTEN_STR_SIZE];
	const char *colon = strrchr(s, ':');
	unsigned long port = 0;
	char *end = NULL;
	size_t len = colon ? (size_t)(colon - s) : 0;
	bool brackets = len >= 2 && s[0] == '[' && s[len - 1] == ']';

	if (colon && colon[1] >= '0' && colon[1] <= '9')
		port = strtoul(colon + 1, &end, 10);
	if (len && len < sizeof(host) && end && !*end && port <= UINT16_MAX) {
		memcpy(host, s + brackets, len - 2 * brackets);
		host[len - 2 * brackets] = '\0';
		if (addr_parse(host, ret_addr) == 0 && (ret_addr->family == 4 || brackets)) {
			*ret_port = (uint16_t)port;
			return 0;
		}
	}
	return err_set(e, -EINVAL, ERR_CONFIG,
	               "\"%.100s\" is no address to listen on; it is ADDRESS:PORT, as in "
	               "0.0.0.0:17482 or [::]:17482",
	               s);
}

int listen_on(const struct addr *a, uint16_t port, bool apart)
{
	const int on = 1, only = apart;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_v4 = a->family == 4;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	memcpy(&in.sin_addr, a->b, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, a->b, sizeof(in6.sin6_addr));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!is_v4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(fd, is_v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
	         is_v4 ? sizeof(in) : sizeof(in6)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int listen_on_all(uint16_t port)
{
	static const struct addr v4 = { .family = 4 }, v6 = { .family = 6 };
	int fd = listen_on(&v6, port, false);

	/* A kernel without IPv6, or with it switched off. */
	return fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL ? listen_on(&v4, port, false) : fd;
}

uint16_t listen_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &size) < 0)
		return 0;
	return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&ss)->sin6_port)
	                                : ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port);
}

# SPDX-License-Identifier: Apache-2.0
# agnhost, the image of nearly all Pods of Kubernetes' own tests, on Debian: its program, and what the tests run beside it.  Built by
# tests/upstream, which puts program and gather beside it.
ARG BASE=fairlead-base:bookworm

FROM ${BASE} AS install
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
	bash bind9-dnsutils conntrack curl iperf iproute2 iptables iputils-ping netcat-openbsd procps wget
COPY agnhost coredns localhost.crt localhost.key gather /tmp/
RUN bin() { dpkg -L "$@" | grep -E '^(/usr)?/s?bin/[a-z0-9]' | grep -v update-passwd; } && \
	/tmp/gather /image $(bin coreutils) $(bin grep) $(bin sed) $(bin findutils) $(bin tar) $(bin gzip) $(bin hostname) $(bin procps) \
		/bin/dash /bin/bash /bin/ss /bin/ip /bin/ping /usr/bin/mawk /usr/bin/dig /usr/bin/nslookup /usr/bin/host /usr/bin/curl \
		/usr/bin/wget /usr/bin/iperf /bin/nc.openbsd /usr/bin/getent /usr/bin/which.debianutils /usr/sbin/conntrack \
		/usr/sbin/xtables-nft-multi
# One try a call, as busybox has it, since the tests count them.
RUN cd /image && cp /tmp/agnhost /tmp/coredns /tmp/localhost.crt /tmp/localhost.key . && ln -s agnhost agnhost-2 && mkdir -p uploads var/tmp proc sys dev && \
	ln -sf dash bin/sh && ln -sf nc.openbsd bin/nc && ln -sf mawk bin/awk && ln -sf which.debianutils bin/which && echo 'tries = 1' >etc/wgetrc && \
	echo 'user-defined-in-image:x:1000:1000::/:/bin/sh' >>etc/passwd && \
	echo 'group-defined-in-image:x:50000:user-defined-in-image' >>etc/group

FROM scratch
COPY --from=install /image /
ENV PATH=/usr/sbin:/usr/bin
ENTRYPOINT ["/agnhost"]
CMD ["pause"]

# SPDX-License-Identifier: Apache-2.0
# fairlead: both daemons, the command line, and the iptables and nft that the speaker runs.  `make image` builds it.
#
# BASE is any Debian 12 or later with apt; `make image` makes one by debootstrap (images/base) unless told another:
# make image BASE=debian:bookworm-slim
ARG BASE=fairlead-base:bookworm

FROM ${BASE} AS build
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
	build-essential autoconf automake pkg-config iptables nftables \
	libcurl4-openssl-dev libjson-c-dev libevent-dev libnl-3-dev libnl-route-3-dev libnl-genl-3-dev libmnl-dev libnftnl-dev libpcap-dev \
	libyaml-dev libssl-dev zlib1g-dev uthash-dev libcmocka-dev
COPY . /source
WORKDIR /build
# What was built in the source tree itself is not of this system.
RUN cd /source && { [ ! -f Makefile ] || make -s distclean; } && ./autogen.sh && cd /build && /source/configure --prefix=/usr && make -j"$(nproc)" && \
	make install-strip
# The programs, what they load, and nothing else: no shell, no package manager.
RUN /source/images/gather /image \
	/usr/sbin/fairlead-controller /usr/sbin/fairlead-speaker /usr/bin/fairlead \
	/usr/sbin/nft /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi \
	/usr/lib/*-linux-gnu*/xtables/*.so

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/sbin:/usr/bin
# For the controller and the command line; the speaker is to be run as root.
USER 65532:65532

# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += Dockerfile .dockerignore images/base images/gather images/frr charts tests/chart

# The images, with the local docker.  BASE: any Debian with apt; our own is made by debootstrap if it is not there.
OWN_BASE = fairlead-base:bookworm
BASE = $(OWN_BASE)
IMAGE = fairlead:$(VERSION)
FRR_IMAGE = fairlead-frr:$(VERSION)
DOCKER = docker
DOCKER_BUILD_FLAGS =
image:
	[ "$(BASE)" != "$(OWN_BASE)" ] || $(DOCKER) image inspect $(BASE) >/dev/null 2>&1 || \
		DOCKER="$(DOCKER)" $(top_srcdir)/images/base $(BASE)
	$(DOCKER) build -q $(DOCKER_BUILD_FLAGS) --build-arg BASE=$(BASE) -t $(IMAGE) $(top_srcdir)
	$(DOCKER) build -q $(DOCKER_BUILD_FLAGS) --build-arg BASE=$(BASE) -t $(FRR_IMAGE) \
		-f $(top_srcdir)/images/frr/Dockerfile $(top_srcdir)
.PHONY: image

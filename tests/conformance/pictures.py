# SPDX-License-Identifier: Apache-2.0
"""The images of the suite's Pods, by the names that it asks for, made here of its own programs and of Debian's."""

import shutil
from pathlib import Path

from lab.kubernetes import program
from lab.waiting import LabError
from podlab import dockerfile
from podlab import images as podlab
from podlab.cluster import SOURCE

from . import suite

# The last parts of the names of those images that get agnhost's: what their Pods run is in it.
_AGNHOST = ("agnhost", "distroless-iptables", "jessie-dnsutils")
_BUSYBOX = Path("/bin/busybox")


def build(directory: Path) -> list[Path]:
    """Writes the archives of all images into a directory; seconds if nothing has changed."""
    directory.mkdir(parents=True, exist_ok=True)
    asked = suite.images()
    return [
        _agnhost(directory, _named(asked, *_AGNHOST)),
        _busybox(directory, _named(asked, "busybox")),
        podlab.of_program(
            directory / "regression.tar",
            _named(asked, "regression-issue-74839"),
            Path(program("regression-issue-74839")),
        ),
        podlab.pause(directory, *_named(asked, "pause")),
    ]


def _named(asked: list[str], *last: str) -> tuple[str, ...]:
    found = tuple(sorted(name for name in asked if name.rsplit("/", 1)[1].split(":")[0] in last))
    if not found:
        raise LabError(f"the suite asks for no image {', '.join(last)}")
    return found


def _agnhost(directory: Path, references: tuple[str, ...]) -> Path:
    context = directory / "agnhost"
    context.mkdir(exist_ok=True)
    parts = [Path(program(name)) for name in ("agnhost", "coredns", "localhost.crt", "localhost.key")]
    for source in (*parts, SOURCE / "images/gather"):
        shutil.copy(source, context)
    recipe = Path(__file__).with_name("agnhost.Dockerfile")
    return dockerfile.build(context, recipe, references, directory / "agnhost.tar")


def _busybox(directory: Path, references: tuple[str, ...]) -> Path:
    return podlab.busybox(directory / "busybox.tar", references, _BUSYBOX)

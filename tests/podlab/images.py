# SPDX-License-Identifier: Apache-2.0
"""Images made here, without a registry and without docker: one layer of a few files, as `docker save` writes them."""

import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

PAUSE = "docker.io/local/pause:1"
ECHO = "docker.io/traefik/whoami:v1.10.3"  # the image that examples/ name
CLIENT = "docker.io/local/client:1"  # /curl and /dig, for tests that ask from within a Pod

# What holds a Pod's namespaces: reaps whoever is orphaned in it, and ends when told to.
_PAUSE_SOURCE = """
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number)
{
	(void)number;
	_exit(0);
}

static void reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	signal(SIGTERM, end);
	signal(SIGINT, end);
	signal(SIGCHLD, reap);
	for (;;)
		pause();
}
"""


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def _libraries(program: Path) -> list[Path]:
    """The shared libraries that a program needs, and its loader; none for a static one."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return [Path(p) for p in re.findall(r"(/\S+) \(0x", done.stdout)]


def _program_layer(program: Path, links: Iterable[str] = (), more: Iterable[Path] = ()) -> bytes:
    """A program as /NAME, links to it, more programs, what they are linked with, and nothing else."""
    programs = [program, *more]
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for one in programs:
            _add(tar, one.name, one.read_bytes(), 0o755)
        for link in links:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"/{program.name}"
            tar.addfile(entry)
        for library in sorted({library for one in programs for library in _libraries(one)}):
            _add(tar, str(library).lstrip("/"), library.read_bytes(), 0o755)
    return layer.getvalue()


def write(path: Path, references: tuple[str, ...], layer: bytes, config: dict[str, object]) -> Path:
    """Writes the archive of an image with one layer, by all its names."""
    digest = hashlib.sha256(layer).hexdigest()
    image = {
        "architecture": platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    image_bytes = json.dumps(image).encode()
    image_name = hashlib.sha256(image_bytes).hexdigest() + ".json"
    manifest = [{"Config": image_name, "RepoTags": list(references), "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, mode="w") as tar:
        _add(tar, image_name, image_bytes)
        _add(tar, f"{digest}/layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def pause(directory: Path, *names: str) -> Path:
    """Writes the archive of the pause image into a directory, by more names if told some."""
    return of_program(directory / "pause.tar", (PAUSE, *names), _pause(directory))


def _pause(directory: Path) -> Path:
    source, program = directory / "pause.c", directory / "pause"
    source.write_text(_PAUSE_SOURCE, encoding="ascii")
    subprocess.run(["cc", "-static", "-Os", "-o", str(program), str(source)], check=True)
    return program


def client(directory: Path) -> Path:
    """Writes the archive of an image that does nothing, with this machine's curl and dig in it, into a directory."""
    programs = [Path(shutil.which(name) or f"/usr/bin/{name}") for name in ("curl", "dig")]
    return of_program(directory / "client.tar", (CLIENT,), _pause(directory), *programs)


def echo(directory: Path, program: Path) -> Path:
    """Writes the archive of the examples' image, with the lab's program in it, into a directory."""
    return of_program(directory / "echo.tar", (ECHO,), program)


def of_program(path: Path, references: tuple[str, ...], program: Path, *more: Path) -> Path:
    """Writes the archive of an image that runs a program, and has some more."""
    return write(path, references, _program_layer(program, more=more), {"Entrypoint": [f"/{program.name}"]})


def busybox(path: Path, references: tuple[str, ...], program: Path) -> Path:
    """Writes the archive of an image that has busybox by all its names."""
    done = subprocess.run([str(program), "--list-full"], capture_output=True, text=True, check=True)
    return write(path, references, _program_layer(program, done.stdout.split()), {"Cmd": ["sh"]})

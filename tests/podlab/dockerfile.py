# SPDX-License-Identifier: Apache-2.0
"""Images by the project's own Dockerfiles, without docker: where FROM names a base, this machine's root stands for it,
seen through an overlay that takes all changes and vanishes.  So it must be a Debian with apt, and what apt-get would
install is there already.

What our Dockerfiles use is understood, and nothing else: ARG, FROM, RUN, COPY, WORKDIR, ENV, USER, ENTRYPOINT and CMD,
and that the last stage takes one directory of the first.
"""

import fnmatch
import hashlib
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.waiting import LabError

from . import images

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PREPARE = """
mount -t tmpfs overlay "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for directory in proc sys dev; do mount --rbind "/$directory" "$1/root/$directory"; done
root=$1/root context=$2 layer=$3
cd "$context"
"""


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(None, 1)
        yield word, rest.strip()


def _script(text: str) -> tuple[str, dict[str, object]]:
    """What makes the layer, as a shell script, and the image's configuration."""
    steps, config, directory, stage = [_PREPARE], {}, "/", 0
    for word, rest in _instructions(text):
        match word, stage:
            case "ARG", _:
                pass
            case "FROM", _:
                stage += 1
            case "RUN", 1:
                command = f"cd {directory} && {rest}"
                steps.append(f'chroot "$root" env -i PATH={_PATH} HOME=/root sh -ec {shlex.quote(command)}')
            case "COPY", 1:
                *sources, target = rest.split()
                steps.append(f'mkdir -p "$root{target}" && cp -r {" ".join(sources)} "$root{target}"')
            case "WORKDIR", 1:
                directory = rest
                steps.append(f'mkdir -p "$root{directory}"')
            case "COPY", 2:
                _from, source, _target = rest.split()
                steps.append(f'tar -C "$root{source}" --sort=name -cf "$layer" .')
            case "ENV", 2:
                config["Env"] = [rest]
            case "USER", 2:
                config["User"] = rest
            case "ENTRYPOINT", 2:
                config["Entrypoint"] = json.loads(rest)
            case "CMD", 2:
                config["Cmd"] = json.loads(rest)
            case _:
                raise LabError(f"{word} {rest}: not understood")
    return "\n".join(steps), config


def _context_files(source: Path) -> list[Path]:
    ignore = source / ".dockerignore"
    ignored = ignore.read_text(encoding="utf-8").split() if ignore.exists() else []

    def wanted(path: Path) -> bool:
        top = path.relative_to(source).parts[0]
        return not any(fnmatch.fnmatch(top, pattern) for pattern in ignored)

    return [p for p in sorted(source.rglob("*")) if wanted(p) and p.is_file() and "__pycache__" not in p.parts]


def _digest(files: list[Path], dockerfile: Path, references: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join([str(dockerfile), *references]).encode())
    for path in [dockerfile, *files]:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(source: Path, dockerfile: Path, references: str | tuple[str, ...], archive: Path) -> Path:
    """Writes the archive of the image that a Dockerfile describes, unless it is there and nothing has changed."""
    references = (references,) if isinstance(references, str) else references
    files = _context_files(source)
    stamp, digest = archive.with_suffix(".digest"), _digest(files, dockerfile, references)
    if archive.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return archive
    script, config = _script(dockerfile.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        root, context, layer = (Path(temporary, n) for n in ("overlay", "context", "layer.tar"))
        root.mkdir()
        for path in files:
            target = context / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh"]
        done = subprocess.run(
            [*shell, str(root), str(context), str(layer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        archive.with_suffix(".log").write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0:
            raise LabError(f"{dockerfile}: {done.stdout[-1000:]}")
        images.write(archive, references, layer.read_bytes(), config)
    stamp.write_text(digest, encoding="ascii")
    return archive

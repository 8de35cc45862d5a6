# SPDX-License-Identifier: Apache-2.0
"""Habits of the C sources that clang-format does not know: `python3 -m lab.habits` names what differs, --fix mends it.

- A comment has 100 columns at most.  A longer one at the end of a line of code stands above it.
- A function's declarations at its beginning are followed by a blank line.
- Equality is `!strcmp(a, b)`, inequality `strcmp(a, b) != 0`; so with its like.
- A header of the own room is included as "room/header.h", and a private one is called …_private.h, or private.h.
- A file's essay stands on top, before config.h.
- Hash tables are of "fairlead/hash.h", whose hash has a key that nobody knows, not of <uthash.h>.
- Include guards are FAIRLEAD_ROOM_FILE_H, FAIRLEAD_ROOM_FOLDER_FILE_H in a folder of a room; FAIRLEAD_FILE_H in
  include/fairlead.

After --fix run clang-format.  What it cannot mend stays named.
"""

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
COLUMNS = 100
Fix = Callable[[Path, str], str]


def width(line: str) -> int:
    return len(line.expandtabs(8))


# ---- comments ----

# " * prose", " *   - an item", " *\tname   what it is": the star, the blanks, the lead, the words.
_LINE = re.compile(r"^(\t* \*)([ \t]+)(- |\d+\. |(?=\S)(?:(?!  |\t).)+?(?:  +|\t+))?(\S.*)$")


def joined(lines: list[str]) -> str:
    """One text; a sentence that ends at a line's end is followed by two blanks."""
    return re.sub(r"(?<=[.?!])\n", "  ", "\n".join(lines)).replace("\n", " ")


def wrap(begin: str, hang: str, words: str) -> list[str]:
    room = COLUMNS - width(hang)
    if width(hang) != width(begin):
        raise ValueError(begin)
    lines = textwrap.wrap(words, room, break_long_words=False, break_on_hyphens=False)
    return [(hang if at else begin) + line for at, line in enumerate(lines)]


def paragraphs(lines: list[str]) -> list[str]:
    """The inside of a comment; its paragraphs and items that are too wide are wrapped, all else stays."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        first = _LINE.match(lines[at])
        end = at + 1
        if not first:
            out.append(lines[at])
            at = end
            continue
        star, blanks, lead, words = first[1], first[2], first[3] or "", first[4]
        # Two blanks within prose are the end of a sentence.
        if blanks == " " and lead not in ("", "- ") and not re.match(r"\d+\. $", lead):
            lead, words = "", lead + words
        begin = star + blanks + lead
        hang = star + blanks + " " * (width(begin) - width(star + blanks))
        while end < len(lines) and re.match(re.escape(hang) + r"[^\s]", lines[end]):
            if re.match(r"- |\d+\. ", lines[end][len(hang) :]):
                break
            end += 1
        if any(width(line) > COLUMNS for line in lines[at:end]):
            out += wrap(begin, hang, joined([words, *(line[len(hang) :] for line in lines[at + 1 : end])]))
        else:
            out += lines[at:end]
        at = end
    return out


def block(indent: str, words: str) -> list[str]:
    if width(f"{indent}/* {words} */") <= COLUMNS:
        return [f"{indent}/* {words} */"]
    return [f"{indent}/*", *wrap(f"{indent} * ", f"{indent} * ", words), f"{indent} */"]


def comments(_path: Path, text: str) -> str:
    out: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        alone = re.match(r"^(\t*)/\* (.*) \*/$", line)
        trailing = re.match(r"^(\t*)([^\s/].*?)\s*/\* (.*) \*/$", line)
        begins = re.match(r"^(\t*)/\*( [^*].*)?$", line)
        if begins and "*/" not in line:
            end = at + 1
            while "*/" not in lines[end]:
                end += 1
            inside, close = lines[at + 1 : end], lines[end]
            if begins[2] and any(width(one) > COLUMNS for one in lines[at : end + 1]):
                words, close = close.rsplit(" */", 1)[0], f"{begins[1]} */"
                line, inside = f"{begins[1]}/*", [f"{begins[1]} *{begins[2]}", *inside, words]
            out += [line, *paragraphs(inside), close]
            at = end + 1
            continue
        macro = at > 0 and lines[at - 1].endswith("\\")
        broken = trailing and out and bool(re.search(r"[\w*]$", out[-1]))
        if width(line) > COLUMNS and alone and "*/" not in alone[2]:
            out += block(alone[1], alone[2])
        elif trailing and (broken or width(line) > COLUMNS) and not re.search(r'"|/\*', trailing[2]) and not macro:
            begin = len(out) - 1 if broken else len(out)
            indent = (re.match(r"\t*", out[begin]) or trailing)[0] if broken else trailing[1]
            out[begin:begin] = block(indent, trailing[3])
            out.append(trailing[1] + trailing[2])
        else:
            out.append(line)
        at += 1
    return "\n".join(out)


# ---- declarations ----

_DECLARATION = re.compile(
    r"^\t(?:cleanup\(\w+\) |cleanup_free |static |const |extern |volatile )*"
    r"(?:_Static_assert\(|(?:struct|union|enum) \{|"
    r"(?!return\b|goto\b|else\b|case\b)(?:(?:struct|enum|union) \w+|(?:unsigned|signed|long)(?: \w+)?|\w+)"
    r"(?: const)?(?: \**| ?\(\*)\s?\w+(?:\)\([^=]*|\[[^\]]*\])*\s*(?:=|;|,|$))"
)


def bare(line: str) -> str:
    """Without strings, characters and comments."""
    line = re.sub(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)'", '""', line)
    return re.sub(r"/\*.*?\*/", "", line)


def statement_end(lines: list[str], at: int) -> int:
    """The line after the statement that begins here."""
    depth = 0
    while at < len(lines):
        code = bare(lines[at])
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
        at += 1
        if depth <= 0 and code.rstrip().endswith(";"):
            return at
    return at


def is_comment(line: str) -> bool:
    return bool(re.match(r"^\s*(/\*| \*)", line))


def declarations(_path: Path, text: str) -> str:
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if lines[at] != "{":
            at += 1
            continue
        at += 1
        end, found = at, False
        while end < len(lines):
            here = end
            while is_comment(lines[here]):
                here += 1
            if not _DECLARATION.match(lines[here]):
                break
            end, found = statement_end(lines, here), True
        if found and end < len(lines) and lines[end] not in ("", "}"):
            lines.insert(end, "")
        at = end + 1
    return "\n".join(lines)


# ---- equality ----

_COMPARE = re.compile(r"(?<![\w!])(strcmp|strncmp|strcasecmp|strncasecmp|memcmp)\(")


def equality(_path: Path, text: str) -> str:
    at = 0
    while found := _COMPARE.search(text, at):
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        rest = re.match(r"\s*== 0\b", text[end:])
        if rest:
            text = f"{text[: found.start()]}!{text[found.start() : end]}{text[end + rest.end() :]}"
        at = found.end() + 1
    return text


# ---- headers ----


def place(path: Path) -> tuple[str, ...]:
    """A file's room, and its folder there; empty for one that is not in src/."""
    for depth in (1, 2):
        if path.parents[depth].name == "src":
            return path.parts[-1 - depth : -1]
    return ()


def includes(path: Path, text: str) -> str:
    at = "/".join(place(path))

    def whole(found: re.Match[str]) -> str:
        return f'#include "{at}/{found[1]}"' if (path.parent / found[1]).exists() else found[0]

    return re.sub(r'^#include "(\w+\.h)"', whole, text, flags=re.MULTILINE) if at else text


def guards(path: Path, text: str) -> str:
    if path.suffix != ".h" or not (place(path) or path.parent.parent.name == "include"):
        return text
    name = "_".join(("FAIRLEAD", *place(path), path.stem, "H")).upper()
    if re.search(r"^#pragma once\n", text, re.MULTILINE):
        return re.sub(r"^#pragma once\n", f"#ifndef {name}\n#define {name}\n", text, flags=re.MULTILINE) + "\n#endif\n"
    old = re.search(r"^#ifndef (\w+_H_?)\n#define \1\n", text, re.MULTILINE)
    return re.sub(rf"\b{old[1]}\b", name, text) if old else text


def hashes(path: Path, text: str) -> str:
    if path.name == "hash.h":
        return text
    return re.sub(r"^#include <uthash.h>\n", '#include "fairlead/hash.h"\n', text, flags=re.MULTILINE)


# Includes and constants, and a comment behind them that belongs to no declaration.
_PREAMBLE = re.compile(r"(/\* SPDX[^\n]*\n)((?:(?:#(?:include|define)\b[^\n]*(?<!\\))?\n)+)")
_ESSAY = re.compile(r"(/\*\n(?: \*[^\n]*\n)+? \*/\n|/\* (?!----)[^\n]* \*/\n)\n")


def essays(path: Path, text: str) -> str:
    if path.suffix != ".c" or not place(path):
        return text
    preamble = _PREAMBLE.match(text)
    found = _ESSAY.match(text, preamble.end()) if preamble else None
    if not preamble or not found:
        return text
    return preamble[1] + found[1] + preamble[2] + text[found.end() :]


FIXES: dict[str, Fix] = {
    "comment beyond 100 columns": comments,
    "essay before config.h": essays,
    'include "room/header.h"': includes,
    "include guard": guards,
    "hash table": hashes,
    "blank line after declarations": declarations,
    "!strcmp()": equality,
}


def sources(root: Path) -> Iterator[Path]:
    for pattern in ("src/*/**/*.[ch]", "include/fairlead/*.h", "tests/*/*.[ch]", "tests/mutations/*.mut"):
        yield from sorted(root.glob(pattern))


def main(arguments: list[str]) -> int:
    fix, bad = "--fix" in arguments, 0
    for path in sources(SOURCE):
        text = before = path.read_text(encoding="utf-8")
        name = path.relative_to(SOURCE)
        if path.stem.endswith("_internal"):
            print(f"{name}: a private header is called …_private.h")
            bad += 1
        for habit, mend in FIXES.items():
            if path.suffix == ".mut" and mend != equality:
                continue
            mended = mend(path, text)
            if mended == text:
                continue
            if not fix:
                print(f"{name}: {habit}")
                bad += 1
            text = mended
        if fix and text != before:  # or make would build it all again
            path.write_text(text, encoding="utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            if fix and width(line) > COLUMNS and re.search(r"/\*|^\s*\*", line):
                print(f"{name}:{number}: a comment of {width(line)} columns")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""README.md and docs/: their fenced blocks, commands and links."""

import pathlib
import re
import shlex
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]

PATHS = ("README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")))

_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a document.

    Attributes:
        path: Path of the document.
        line: Number of its first line.
        language: "sh", "python" or another word after the fence.
        file: Name of the file that it is to be saved as; "" for none.
        text: Its lines.
    """

    path: str
    line: int
    language: str
    file: str
    text: str


class Command(NamedTuple):
    """A command of a block, such as ("python", "-m", "launch.draw", ...)."""

    path: str
    words: tuple

    @property
    def launcher(self):
        """The module in launch/ that it runs; None if it runs another one."""
        is_ours = self.words[:2] == ("python", "-m")
        return self.words[2] if is_ours else None

    @property
    def flags(self):
        """What follows the module."""
        return self.words[3:]


def read(path):
    """Returns the text of a document."""
    return (ROOT / path).read_text("utf-8")


def blocks(path):
    """Returns the blocks of a document, a list of `Block`."""
    text = read(path)
    found = []
    for match in _FENCED.finditer(text):
        language, _, file = match[1].partition(" ")
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(path, line, language, file, match[2]))
    return found


def commands(path):
    """Returns the commands of a document, a list of `Command`."""
    found = []
    for block in blocks(path):
        if block.language == "sh":
            lines = block.text.replace("\\\n", " ").splitlines()
            found += [_command(path, line) for line in lines if line.strip()]
    return found


def _command(path, line):
    words = shlex.split(line, comments=True)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        del words[0]
    return Command(path, tuple(word for word in words if word != "&"))


def links(path):
    """Returns the targets of a document's links that are not on the web."""
    return [t for t in _LINK.findall(read(path)) if "://" not in t]


def anchors(path):
    """Returns the anchors that GitHub gives a document's headings, a set."""
    text = _FENCED.sub("", read(path))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in headings
    }

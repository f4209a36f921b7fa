"""Conversations between replicas, word for word; `make transcripts` rewrites them: read the difference.

A file holds comments (#) and stanzas: a command, `----`, and all that was said because of it, up to an empty line.
"""

from pathlib import Path

import pytest

from tests.transcripts.scribe import Scribe

FOLDER = Path(__file__).parent / "raft"


def replayed(text: str) -> str:
    """The transcript with its answers as they are now."""
    scribe = Scribe()
    stanzas = []
    for stanza in text.strip().split("\n\n"):
        head = stanza.split("\n----")[0].split("\n")
        commands = [line for line in head if line and not line.startswith("#")]
        if not commands:
            stanzas.append(stanza)
            continue
        answers = [scribe.play(command) for command in commands]
        said = "\n".join(answer for answer in answers if answer != "(nothing)") or "(nothing)"
        stanzas.append("\n".join(head) + "\n----\n" + said)
    return "\n\n".join(stanzas) + "\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_replicas_say_what_the_transcript_says(path: Path, rewrite: bool) -> None:
    text = path.read_text(encoding="utf-8")
    now = replayed(text)
    if rewrite:
        path.write_text(now, encoding="utf-8")
    else:
        assert now == text, f"read {path.name}; if it is right now: make transcripts"

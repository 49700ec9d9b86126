"""What a file begins with, and what that says of it: a mark before text, or that it is no text at all.

No format of text begins so, and what is read of such a file as lines is nothing but bad ones.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InvalidInput

MARK = b"\xef\xbb\xbf"  # the byte order mark that some programs put before text in UTF-8
PACKINGS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}  # how files that we unpack begin
BINARY = b"VWFB"
_NAMES = {"gzip": "gzip", "zstd": "Zstandard"}
_UTF_16 = "text in UTF-16 does: save it in UTF-8, which spreadsheets call CSV UTF-8"
_OTHERS = {
    BINARY: "a binary log of Vowpal Wabbit's reinforcement learning library does, which is not read here: let that "
    "library write it as dsjson first",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    PACKINGS["gzip"]: "a file does that gzip packed: let its name end in .gz, or unpack it",
    PACKINGS["zstd"]: "a file does that Zstandard packed: let its name end in .zst, or unpack it",
    b"BZh": "a file does that bzip2 packed, which is not read: unpack it",
    b"\xfd7zXZ\0": "a file does that xz packed, which is not read: unpack it",
    b"PK\x03\x04": "a ZIP archive or a workbook does, which is not read: unpack it, or save the sheet as CSV",
    b"PAR1": "Parquet does: let its name end in .parquet, or name its format",
    b"SQLite format 3\0": "a database of SQLite does: name it as sqlite:///FILE",
}


def check_text(path: Path, start: bytes) -> None:
    """Raise `InvalidInput` where a file that starts with these bytes holds no lines of text.

    Its code is "wrong_format", and "binary_log" of a log of Vowpal Wabbit's that is no text.
    """
    for beginning, said in _OTHERS.items():
        if start.startswith(beginning) and (beginning != b"BZh" or start[4:10] == b"1AY&SY"):
            code = "binary_log" if beginning == BINARY else "wrong_format"
            raise InvalidInput(code, f"{path} begins as {said}")


def check_packed(path: Path, packing: str, start: bytes) -> None:
    """Raise `InvalidInput` ("not_packed") where a file that starts with these bytes is not packed as its name says."""
    beginning = PACKINGS[packing]
    if not beginning.startswith(start[: len(beginning)]):
        raise InvalidInput(
            "not_packed",
            f"{path} is not packed by {_NAMES[packing]}, as its name says: let the name end in what the file is, or "
            "pack it",
        )

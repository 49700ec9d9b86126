"""The vendored files are byte for byte what their makers published."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "api" / "http" / "static" / "swagger"

# sha256 of the files of swagger-ui-dist 5.35.0 (Apache-2.0)
SWAGGER = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_swagger_ui_is_the_published_one() -> None:
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FOLDER.iterdir()} == SWAGGER

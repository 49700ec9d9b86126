"""The option --archives: a folder of this machine, or of a storage by its address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...engine.errors import Unavailable
from ..offline.files import lies_elsewhere
from ..service.archives import Archives


class ArchivePlace(click.ParamType[Archives]):
    """Reads where archives are; a folder of this machine is checked as a path is."""

    name = "folder"

    def __init__(self, folder: click.Path) -> None:
        self._folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Archives:
        """Return the archives at a place."""
        if isinstance(value, Archives):
            return value
        if not lies_elsewhere(str(value)):
            return Archives.at(Path(str(self._folder.convert(value, param, ctx))))
        try:
            return Archives.at(str(value))
        except Unavailable as error:
            self.fail(str(error), param, ctx)

"""One file, one policy, in a folder for each family.

`catalog` finds them by name, and `artefacts` the artefacts that trained ones decide with.
"""

if __name__ != "onearm.policies":
    raise ImportError("import it as onearm.policies")

from collections.abc import Iterator
from importlib.resources import files

from ..engine.registry import Registry
from ..engine.trained.artefact import Artefact, unpack
from ..engine.trained.artefact_registry import ArtefactRegistry
from ..engine.vocabulary import Policy


def shipped() -> Iterator[Artefact]:
    """Yield the artefacts that come with the package."""
    folder = files("onearm.policies").joinpath("artefacts")
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name.endswith(".json"):
            arrays = folder.joinpath(file.name.removesuffix(".json") + ".npz")
            yield unpack(arrays.read_bytes(), file.read_bytes(), f"the shipped artefact {file.name}")


catalog: Registry[Policy] = Registry("policy", "onearm.policies", Policy)
artefacts = ArtefactRegistry(shipped)

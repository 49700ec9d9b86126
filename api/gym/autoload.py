"""`python -m onearm.api.gym.autoload`: let `gymnasium.make("onearm/...")` work without an import of onearm.

Writes one line into the site-packages of the running environment; delete the file to undo it. `make` does this for
.venv.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

NAME = "onearm_gymnasium.pth"
# Guarded, so that it does no harm where onearm was uninstalled; a .pth file runs lines that begin with `import`.
LINE = 'import sys; exec("try:\\n import onearm._gymnasium as g; g.install()\\nexcept ImportError: pass")\n'


def write(folder: Path) -> Path:
    """Write the file into a folder of site packages and return its path."""
    file = folder / NAME
    file.write_text(LINE)
    return file


if __name__ == "__main__":
    print(f"wrote {write(Path(sysconfig.get_path('purelib')))}")

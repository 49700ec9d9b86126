"""Build the documentation site: `python docs/site/build.py out/docs` (`make docs`), with Zensical.

The pages are written into `out/docs/pages`, and the site into `out/docs/html`. It fails where Zensical warns, as of a
name in the reference that there is not, and where a page leads nowhere or asks another host. Pages can be read from the
files; search needs a server, as browsers let no page of a file read its index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from looked_over import faults
from pages import write_pages
from search_index import leave_out_fields

ROOT = Path(__file__).resolve().parent.parent.parent


def build(folder: Path, root: Path = ROOT) -> int:
    """Build the site of the checkout at `root` into `folder`, which is made anew; return 0 where all is well."""
    shutil.rmtree(folder, ignore_errors=True)
    write_pages(root, folder / "pages")
    config = (root / "docs" / "site" / "zensical.toml").read_text().replace("ROOT", root.as_posix())
    (folder / "zensical.toml").write_text(config)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    environment = os.environ | {"PYTHONPATH": str(root / "docs" / "site")}  # where Griffe's extension imports from
    if code := subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        return code
    leave_out_fields(folder / "html" / "search.json")
    found = faults(folder / "html")
    print("\n".join(found) or f"with search: python -m http.server --directory {folder / 'html'}")
    return len(found) > 0


if __name__ == "__main__":
    raise SystemExit(build(Path(sys.argv[1]).resolve()))

"""The option of every command that prints JSON; it stands alone as `demo` loads nothing else."""

from __future__ import annotations

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

"""vaecodec train-report"""

from __future__ import annotations

from pathlib import Path

import click

from vaecodec.cli.options import complete_paths


@click.command("train-report")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_paths)
@click.option("-o", "--output", metavar="OUT", shell_complete=complete_paths, help="Page.  [default: RUN/report.html]")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing OUT.")
def train_report(run: Path, output: str | None, force: bool) -> None:
    """Write a page that shows how the training in the folder RUN went, or goes, and say it in one line.

    How many channels of the latents y and of the hyper latents z carry something, at every rate; how much more held-out
    pictures cost than training pictures that are as hard; why the run stopped; and a warning where latents collapsed or
    the pictures are learned by heart. vaecodec train writes the same page at its end.
    """
    from vaecodec.cli.files import check_target
    from vaecodec.cli.printing import show
    from vaecodec.viewer.run_page import write_report

    if output is not None:
        check_target("-", output, force, stream=False)
    diagnosis, page = write_report(run, Path(output) if output else None, force or output is None)
    for found in diagnosis.findings:
        show(f"{'warning' if found.grave else 'note'}: {found.name}: {found.text}")
    show(diagnosis.line)
    show(str(page))

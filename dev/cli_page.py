"""Write docs/cli.md, every command with its options, from the command line itself: `python -m dev.cli_page`."""

from __future__ import annotations

from pathlib import Path

import click

from smelt.cli import main

FILE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 100
HEAD = """# Command line

What `smelt COMMAND --help` says of each command. Written by `python -m dev.cli_page`.
"""


def markdown() -> str:
    """The page: what concerns all commands, then each of them."""
    wide = {"terminal_width": WIDTH, "max_content_width": WIDTH, **main.context_settings}
    top = click.Context(main, info_name="smelt", **wide)
    parts = [HEAD, _block(main.get_help(top))]
    for name in main.list_commands(top):
        command = main.get_command(top, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=top, **wide)
        parts += [f"## smelt {name}\n", _block(command.get_help(context))]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    FILE.write_text(markdown(), "utf-8")

"""TAB completion of the installed commands: ``python -m learner_jax.completion bash`` prints a script for a shell.

Install the extra ``completion``; run this once, and again after each update of the package:

    python -m learner_jax.completion bash > ~/.learner_jax.bash    # in ~/.bashrc: . ~/.learner_jax.bash
    python -m learner_jax.completion zsh > ~/.learner_jax.zsh      # in ~/.zshrc: eval "$(<~/.learner_jax.zsh)"

Pressing TAB starts nothing of this package: the script contains the flags, commands and fields of the installed
version.
"""

import argparse
import sys
from collections.abc import Sequence

from tfds_builders.errors import InputError, exit_code

SHELLS = ("bash", "zsh")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m learner_jax.completion", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(arguments).shell
    return exit_code(lambda: print(scripts(shell)))


def scripts(shell: str) -> str:
    """The completion script of a shell, for all commands.

    Raises:
      InputError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as fault:
        raise InputError("completions are made by shtab, which is not installed: pip install shtab") from fault
    made = parsers()
    for parser in made:
        _complete_files(parser, shtab.FILE)
    return "\n".join(shtab.complete(parser, shell) for parser in made)


def parsers() -> list[argparse.ArgumentParser]:
    """A parser for each command, under its installed name."""
    from learner_jax import evaluate, status
    from learner_jax.predict import scans
    from learner_jax.report import __main__ as report
    from learner_jax.sweep import __main__ as sweep
    from tfds_builders import build

    made = {"learner-train": _trainer()} | {
        f"learner-{name}": module.parser()
        for name, module in (
            ("build", build),
            ("eval", evaluate),
            ("predict", scans),
            ("report", report),
            ("status", status),
            ("sweep", sweep),
        )
    }
    for name, parser in made.items():
        parser.prog = name
    return list(made.values())


def _trainer() -> argparse.ArgumentParser:
    """An argparse parser with the trainer's flags, which absl parses, and all fields of the config."""
    from absl import flags

    from learner_jax import main as trainer
    from learner_jax.config import Config
    from learner_jax.fields import walk

    parser = argparse.ArgumentParser()
    for flag in flags.FLAGS.get_flags_for_module(trainer.__name__):
        action = {"action": "store_true"} if flag.boolean else {}
        parser.add_argument(f"--{flag.name}", help=flag.help, **action)
    for path, field, _ in walk(Config()):
        parser.add_argument(f"--config.{path}", choices=field.metadata.get("choices"))
    return parser


def _complete_files(parser: argparse.ArgumentParser, files: dict[str, str]) -> None:
    """Complete file names wherever a value is not one of a few choices."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, files)
        elif action.nargs != 0 and action.choices is None:
            action.complete = files


if __name__ == "__main__":
    sys.exit(main())

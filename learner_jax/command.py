"""What the commands share that take fields of the config beside flags of their own; the trainer has absl's."""

import argparse
from collections.abc import Callable, Sequence

from tfds_builders.errors import InputError, exit_code


def run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    do: Callable[[argparse.Namespace, list[str]], None],
    stopped: str,
) -> int:
    """Parse, do it, and return the exit code: 0; 2 after a sentence; 130 after Ctrl-C and what ``stopped`` says.

    Args:
      parser: of the command's own flags.
      arguments: of the command line; None: the process's.
      do: is given those flags and ``--config.section.field=value`` as they came. Before, absl's flags are parsed for
        grain, Orbax's warnings of its own defaults are off, and compiled programs are kept.
      stopped: see :func:`tfds_builders.errors.exit_code`.
    """
    known, fields = parser.parse_known_args(arguments)

    def checked() -> None:
        for argument in fields:
            if not argument.startswith("--config."):
                raise InputError(f"{argument!r} is not a flag of this command; --help lists them")
        quiet()
        do(known, fields)

    return exit_code(checked, stopped)


def quiet() -> None:
    """Imports what takes seconds, so ``--help`` and a wrong flag come before."""
    from absl import flags, logging

    from learner_jax.compilation_cache import keep_compiled

    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    logging.set_verbosity(logging.ERROR)  # orbax warns of its own defaults
    keep_compiled()

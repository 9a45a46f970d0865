"""The frame of every command that takes fields of the config beside its own flags, except the trainer's."""

import argparse
from collections.abc import Callable, Sequence

from tfds_builders.errors import InputError, exit_code


def run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    do: Callable[[argparse.Namespace, list[str]], None],
    stopped: str,
) -> int:
    """Parse the command line, run the command and return its exit code.

    Args:
      parser: of the command's own flags.
      arguments: the command line; None: that of the process.
      do: the command, called with the parsed flags and the list of ``--config.section.field=value`` arguments, after
        :func:`quiet`.
      stopped: what to add after Ctrl-C, see :func:`tfds_builders.errors.exit_code`.

    Returns:
      0; 2 after a sentence on what is wrong with the input; 130 after Ctrl-C.
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
    """Prepare absl and JAX. The imports take seconds, so this comes after ``--help`` and wrong flags are handled."""
    from absl import flags, logging

    from learner_jax.compilation_cache import keep_compiled

    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    logging.set_verbosity(logging.ERROR)  # Orbax warns about its own defaults
    keep_compiled()

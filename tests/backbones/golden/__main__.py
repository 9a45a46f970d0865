"""Write the parameter trees anew: ``python -m tests.backbones.golden [NAME …]``. Look at what changed."""

import functools
import sys
from pathlib import Path

import jax

from learner_jax import backbones
from tests.backbones.zoo import ROWS, parameter_tree

for name in sys.argv[1:] or backbones.list_backbones():
    build = functools.partial(backbones.create(name).init, spec=ROWS[name].spec)
    tree = parameter_tree(jax.eval_shape(build, jax.random.key(0)))
    (Path(__file__).parent / f"{name}.txt").write_text(tree)
    print(name)

"""Write the parameter trees anew: ``python -m tests.backbones.golden [NAME …]``. Look at what changed."""

import sys
from pathlib import Path

from learner_jax import backbones
from tests.backbones.zoo import ROWS, parameter_tree

for name in sys.argv[1:] or backbones.list_backbones():
    tree = parameter_tree(backbones.create(name).shapes(ROWS[name].spec))
    (Path(__file__).parent / f"{name}.txt").write_text(tree)
    print(name)

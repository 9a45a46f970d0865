import numpy as np
from PIL import Image

from learner_jax.augment.__main__ import main


def test_the_picture_shows_each_operation_that_is_on(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "deep" / "a.png"
    command = ["--data_dir", str(tiny_dataset), "--out", str(out), "--copies", "3"]
    assert main([*command, "--config.augment.speckle=0", "--config.augment.flip_views=L1"]) == 0
    with Image.open(out) as picture:
        # stored, shift, zoom, rotate, flip_views, gain, contrast, tgc, drop_frames, all; 32 pixels and a line around
        assert picture.size == (96 + 3 * 34, 10 * 34)
        assert np.asarray(picture)[:, 96:].std() > 10
    assert main([*command, "--config.augment.zom=1"]) == 2
    assert "did you mean 'zoom'" in capsys.readouterr().err
    assert main([*command, "--config.augment.zoom=3"]) == 2
    assert "config.augment.zoom is 3.0; it is at most 0.5" in capsys.readouterr().err
    assert main([*command, "--row", "9999"]) == 2
    assert "--row is 9999" in capsys.readouterr().err

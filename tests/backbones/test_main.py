"""The list of backbones in the terminal."""

from learner_jax import backbones
from learner_jax.backbones.__main__ import main


def test_the_list_shows_all_with_width_scans_and_weights(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == backbones.list_backbones()
    at = lines.index(
        "videomae_vit_b: embeddings of 768, takes at least 2 frames of 16x16, in multiples of 2 frames and 16x16 pixels"
    )
    assert lines[at + 1] == "    weights: videomae"
    assert "resnet3d_18: embeddings of 512, takes at least 1 frame of 32x32" in lines


def test_one_by_its_name_and_a_name_that_there_is_not(capsys):
    assert main(["vit_s16"]) == 0
    assert capsys.readouterr().out.startswith(
        "vit_s16: embeddings of 384, takes at least 1 frame of 16x16, in multiples of 16x16 pixels"
    )
    assert main(["vit_s17"]) == 2
    assert "vit_s16" in capsys.readouterr().err

"""The PyTorch loop of benchmarks.train does the same work as the trainer."""

import pytest


@pytest.mark.parity
def test_the_loss_of_one_batch_is_the_same(tiny_dataset):
    from benchmarks import train
    from benchmarks.prepared import data_of

    config = train.get_config()
    config.batch_size, config.backbone.name = 8, "tsm_resnet18"
    config.data, config.augment = data_of(tiny_dataset, 4, 32), train.OFF
    net, run = train.with_torch(config)
    ours, theirs = train.losses(run, train.peer(run, net, 0))
    assert ours == pytest.approx(theirs, rel=1e-5)

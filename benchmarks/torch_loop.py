"""The peer of benchmarks.train: the same training as a plain PyTorch loop. Loader processes import this, so no JAX."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import torch


class Scans(torch.utils.data.Dataset):
    """Scans of the same shards through the same record reader, which each process opens once."""

    def __init__(self, folder: str, rows: np.ndarray, score: np.ndarray, patient: np.ndarray, frames: int):
        self._folder, self._rows, self._score, self._patient = folder, rows, score, patient
        self._frames, self._source = frames, None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, np.float32, np.int32]:
        if self._source is None:
            self._source = tfds.builder_from_directory(self._folder).as_data_source("scans")
        row = int(self._rows[i])
        scan = self._source[row]["scan"]
        stride = len(scan) // self._frames
        start = int(torch.randint(len(scan) - stride * (self._frames - 1), ()))
        clip = np.ascontiguousarray(scan[start : start + stride * self._frames : stride])
        return torch.from_numpy(clip), self._score[row], self._patient[row]


class Net(torch.nn.Module):
    """A backbone over clips, the projection, and the head that predicts the score from the embedding."""

    def __init__(self, backbone: torch.nn.Module, embed: Any, dim: int, projection: int, intensity: tuple[float, ...]):
        super().__init__()
        self.backbone, self._embed, self._intensity = backbone, embed, intensity
        self.hidden, self.out = torch.nn.Linear(dim, dim), torch.nn.Linear(dim, projection)
        self.head = torch.nn.Linear(dim, 1)

    def forward(self, scan: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, mean, std = self._intensity
        x = scan.float().mul_(scale / std).sub_(mean / std)
        u = self._embed(x.permute(0, 4, 1, 2, 3))
        return self.out(torch.relu(self.hidden(u))), self.head(u)[:, 0]


def learner_combined(z: torch.Tensor, predicted: torch.Tensor, score: torch.Tensor, patient: torch.Tensor, score_range):
    """Squared error plus ``learner`` in its ``distance_match`` form with distance weights."""
    unit = torch.nn.functional.normalize(z, dim=1)
    distance, d = 1 - unit @ unit.T, (score[:, None] - score[None]).abs()
    w = d * (patient[:, None] != patient[None])
    target = 1 - torch.cos(math.pi * (d / score_range).clamp(max=1))
    contrast = (w * (distance - target).square()).sum() / w.sum()
    return (predicted - score).square().mean() + contrast


class Training:
    """Batches, net and optimizer; :meth:`steps` continues training."""

    def __init__(self, net: Net, data: Scans, batch: int, workers: int, total: int, optim: Any, score_range: float):
        sampler = torch.utils.data.RandomSampler(data, replacement=True, num_samples=batch * total)
        several = {"multiprocessing_context": "spawn", "prefetch_factor": 2, "persistent_workers": True}
        self._loader = torch.utils.data.DataLoader(
            data, batch, sampler=sampler, num_workers=workers, **(several if workers else {})
        )
        self._batches: Iterator[Any] = iter(self._loader)
        self.net, self._range, self._clip = net.train(), score_range, optim.clip_norm
        kernels = [p for p in net.parameters() if p.ndim >= 2]
        others = [p for p in net.parameters() if p.ndim < 2]
        groups = [{"params": kernels, "weight_decay": optim.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, optim.learning_rate, foreach=True)
        warm = max(1, round(optim.warmup * total))

        def rate(step: int) -> float:
            return min(step / warm, 0.5 + 0.5 * math.cos(math.pi * max(step - warm, 0) / (total - warm)))

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, rate)

    def loss(self, scan: torch.Tensor, score: torch.Tensor, patient: torch.Tensor) -> torch.Tensor:
        return learner_combined(*self.net(scan), score, patient, self._range)

    def steps(self, n: int) -> None:
        for scan, score, patient in itertools.islice(self._batches, n):
            self._optimizer.zero_grad(set_to_none=True)
            loss = self.loss(scan, score, patient)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self._clip)
            self._optimizer.step()
            self._schedule.step()
            loss.item()

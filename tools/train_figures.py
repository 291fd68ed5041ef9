"""`python -m tools.train_figures`: learns the figures of the made-up shop, and writes edge/models/figures.onnx.

Needs torch and onnx (`pip install torch onnx`), which nothing else here needs; an hour on two cores. The network
has no anchors: each cell of three grids says how likely a figure's middle is there, and where its box lies. It is
exported in the layout `yolo-dense`, with the boxes decoded.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.detector.decoders import STRIDES
from tools.figure_frames import HEIGHT, UNSEEN_SEEDS, WIDTH, Labelled, labelled

__all__ = ["main"]

TARGET = Path(__file__).parent.parent / "edge" / "models" / "figures.onnx"
BATCH = 24
PEAK_RATES = (3e-3, 8e-4)
"""Of learning, at first and in the second pass, which sees other shops."""
BOX_WEIGHT = 5.0
"""How much more a box that is off counts than a score."""
TALLEST = (90.0, 175.0, math.inf)
"""Up to which height, in pixels of the input, a figure belongs to each grid."""
REACH = 1.0
"""How far, in cells, a figure's middle may be from the middle of a cell that is to tell of it."""


class Convolution(nn.Sequential):
    """Three by three, normalised, then cut off at zero."""

    def __init__(self, taken: int, given: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(taken, given, 3, stride, 1, bias=False), nn.BatchNorm2d(given), nn.ReLU(inplace=True)
        )


class Residual(nn.Module):
    """Two convolutions beside a way straight through."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(Convolution(channels, channels), Convolution(channels, channels))

    def forward(self, taken: Tensor) -> Tensor:
        """As many channels as were taken."""
        return taken + self.inner(taken)


class Network(nn.Module):
    """A picture (n, 3, height, width), 0 to 1, to rows (n, 5, cells): centre, size in pixels, and a score's logit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Convolution(3, 12, stride=2), Convolution(12, 24, stride=2), Convolution(24, 24))
        self.fine = nn.Sequential(Convolution(24, 40, stride=2), Residual(40))
        self.middle = nn.Sequential(Convolution(40, 56, stride=2), Residual(56), Residual(56))
        self.coarse = nn.Sequential(Convolution(56, 64, stride=2), Residual(64))
        self.across = nn.ModuleList(nn.Conv2d(channels, 40, 1) for channels in (40, 56, 64))
        self.mixed = nn.ModuleList(Convolution(40, 40) for _ in range(3))
        self.head = Convolution(40, 40)
        self.told = nn.ModuleList(nn.Conv2d(40, 5, 1) for _ in range(3))
        for told in self.told:
            nn.init.constant_(told.bias, 0.0)
            nn.init.constant_(told.bias[4:], -4.0)
        cells, strides = grid()
        self.register_buffer("cells", cells)
        self.register_buffer("strides", strides)

    def forward(self, pictures: Tensor) -> Tensor:
        """All cells of the three grids, the finest first."""
        fine = self.fine(self.stem(pictures))
        middle = self.middle(fine)
        coarse = self.across[2](self.coarse(middle))
        middle = self.across[1](middle) + functional.interpolate(coarse, scale_factor=2.0)
        fine = self.across[0](fine) + functional.interpolate(middle, scale_factor=2.0)
        # Places are told in full precision: half of it is a pixel's error where figures are ten pixels wide.
        with torch.autocast("cpu", enabled=False):
            rows = [
                told(self.head(mixed(level.float()))).flatten(2)
                for told, mixed, level in zip(self.told, self.mixed, (fine, middle, coarse), strict=True)
            ]
        table = torch.cat(rows, dim=2)
        centres = self.cells + table[:, 0:2] * self.strides
        sizes = torch.exp(table[:, 2:4].clamp(-4, 4)) * self.strides * 3
        return torch.cat([centres, sizes, table[:, 4:]], dim=1)


class Exported(nn.Module):
    """The network with scores from 0 to 1, as the layout wants them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """(1, 5, cells)."""
        rows = self.network(pictures)
        return torch.cat([rows[:, :4], torch.sigmoid(rows[:, 4:])], dim=1)


def grid() -> tuple[Tensor, Tensor]:
    """The middles of all cells in pixels (2, cells), and their strides (1, cells)."""
    middles, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: HEIGHT // stride, : WIDTH // stride]
        middles.append((np.stack([columns.ravel(), rows.ravel()]) + 0.5) * stride)
        strides.append(np.full((1, rows.size), stride))
    return (
        torch.tensor(np.concatenate(middles, axis=1), dtype=torch.float32),
        torch.tensor(np.concatenate(strides, axis=1), dtype=torch.float32),
    )


def assigned(frame: Labelled) -> tuple[Tensor, Tensor]:
    """For each cell, which of the frame's boxes it is to tell of: (cells,), -1 for none, -2 where nothing is asked.

    Beside it the boxes (n, 4).
    """
    cells, strides = grid()
    tallest, shortest = (_for_each_cell(heights) for heights in (TALLEST, (0.0, *TALLEST[:-1])))
    whose = torch.full((cells.shape[1],), -1, dtype=torch.long)
    for box in torch.tensor(frame.unsure):
        whose[_cells_away(box, cells, strides) <= 1.5 * REACH] = -2
    nearest = torch.full((cells.shape[1],), math.inf)
    boxes = torch.tensor(frame.seen)
    for number, box in enumerate(boxes):
        away = _cells_away(box, cells, strides)
        tall = box[3] - box[1]
        taken = (away <= REACH) & (away < nearest) & (shortest <= tall) & (tall < tallest)
        whose[taken] = number
        nearest[taken] = away[taken]
    return whose, boxes


def _for_each_cell(values: tuple[float, ...]) -> Tensor:
    """A value for each grid as one for each cell."""
    sizes = [(HEIGHT // stride) * (WIDTH // stride) for stride in STRIDES]
    return torch.tensor(values).repeat_interleave(torch.tensor(sizes))


def _cells_away(box: Tensor, cells: Tensor, strides: Tensor) -> Tensor:
    middle = torch.stack([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])[:, None]
    return ((cells - middle).abs() / strides).max(dim=0).values


def loss_of(rows: Tensor, whose: Tensor, boxes: list[Tensor]) -> Tensor:
    """How wrong rows (n, 5, cells) are: overlap of boxes where figures are, and scores that should be that overlap."""
    score = rows[:, 4]
    wanted = torch.zeros_like(score)
    frames, cells = torch.nonzero(whose >= 0, as_tuple=True)
    found = rows[frames, :4, cells]
    found = torch.cat([found[:, :2] - found[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2], dim=1)
    true = torch.stack(
        [boxes[frame][number] for frame, number in zip(frames.tolist(), whose[frames, cells].tolist(), strict=True)]
    )
    generalised, overlap = _overlaps(found, true)
    wanted[frames, cells] = overlap.detach().clamp(min=0.1)
    weight = (whose != -2).float()
    scores = functional.binary_cross_entropy_with_logits(score, wanted, weight, reduction="sum")
    return (scores + BOX_WEIGHT * (1 - generalised).sum()) / max(len(frames), 1)


def _overlaps(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised and plain intersection over union of boxes (n, 4), pair by pair."""
    shared = (
        (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(dim=1)
    )
    both = (one[:, 2:] - one[:, :2]).prod(dim=1) + (other[:, 2:] - other[:, :2]).prod(dim=1) - shared
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(dim=1)
    plain = shared / both
    return plain - (hull - both) / hull, plain


def train(network: Network, frames: list[Labelled], *, steps: int, peak_rate: float) -> None:
    """Let a network look at these frames, half of them mirrored, for so many batches."""
    frames = [*frames, *map(mirrored, frames)]
    pictures = [torch.from_numpy(frame.picture) for frame in frames]
    answers = [assigned(frame) for frame in frames]
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=steps, pct_start=0.1)
    began, told = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        chosen = torch.randint(len(frames), (BATCH,)).tolist()
        light = torch.empty(BATCH, 3, 1, 1).uniform_(-0.08, 0.08) + torch.empty(BATCH, 1, 1, 1).uniform_(0.75, 1.25)
        batch = torch.stack([pictures[number] for number in chosen]).float() / 255
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rows = network((batch * light).clamp(0, 1).to(memory_format=torch.channels_last))
        whose = torch.stack([answers[number][0] for number in chosen])
        loss = loss_of(rows, whose, [answers[number][1] for number in chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        told += float(loss.detach())
        if step % 25 == 0:
            print(f"{time.monotonic() - began:6.0f} s  step {step} of {steps}  loss {told / 25:.3f}", flush=True)
            told = 0.0
    network.eval()


def mirrored(frame: Labelled) -> Labelled:
    """The same with left and right exchanged."""
    return Labelled(
        picture=np.ascontiguousarray(frame.picture[:, :, ::-1]),
        seen=_mirrored_boxes(frame.seen),
        unsure=_mirrored_boxes(frame.unsure),
    )


def _mirrored_boxes(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]], axis=1)


def write(network: Network, target: Path) -> None:
    """Write the network as ONNX."""
    torch.onnx.export(
        Exported(network),
        (torch.zeros(1, 3, HEIGHT, WIDTH),),
        str(target),
        input_names=["images"],
        output_names=["output0"],
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    """Draw, learn, write."""
    parser = argparse.ArgumentParser(description="Train the detector of the made-up shop's figures.")
    parser.add_argument("--shops", type=int, nargs=2, default=(2400, 1000), help="for each of the two passes")
    parser.add_argument("--frames", type=int, default=3, help="pictures of each shop")
    parser.add_argument("--steps", type=int, nargs=2, default=(6000, 2000), help="batches of each pass")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    network = Network().to(memory_format=torch.channels_last)
    first_seed = UNSEEN_SEEDS
    for shops, steps, peak_rate in zip(arguments.shops, arguments.steps, PEAK_RATES, strict=True):
        frames = list(labelled(shops=shops, frames=arguments.frames, first_seed=first_seed))
        first_seed += shops
        print(f"{len(frames)} pictures with {sum(len(frame.seen) for frame in frames)} figures", flush=True)
        train(network, frames, steps=steps, peak_rate=peak_rate)
    write(network, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""PyTorch's PowerSGD hook on one bucket, alone in a gloo group. Arguments: rank, then shapes such as 768x256 (compressed) or 2048 (not). Prints ms of the fastest call."""
import logging
import os
import sys
import tempfile
import time

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as powersgd


class Bucket:
    """What the hook asks of a bucket of gradients."""

    def __init__(self, flat, shapes):
        self.flat, self.shapes = flat, shapes

    def buffer(self):
        return self.flat

    def index(self):
        return 0

    def is_last(self):
        return True

    def gradients(self):
        parts = self.flat.split([shape.numel() for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes)]


def main():
    logging.disable(logging.WARNING)
    rank, shapes = int(sys.argv[1]), [torch.Size(int(side) for side in text.split("x")) for text in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method="file://" + os.path.join(folder, "group"), rank=0, world_size=1)
        torch.manual_seed(1)
        gradient = torch.randn(sum(shape.numel() for shape in shapes))
        # Past its first two updates, which are not compressed; matrices of one shape in one product.
        state = powersgd.PowerSGDState(None, matrix_approximation_rank=rank, start_powerSGD_iter=2, min_compression_rate=1, batch_tensors_with_same_shape=True)
        state.iter = 2
        times = []
        for _ in range(44):
            flat = gradient.clone()
            start = time.perf_counter()
            powersgd.powerSGD_hook(state, Bucket(flat, shapes)).wait()
            times.append(time.perf_counter() - start)
    print(f"{min(times[4:]) * 1e3:.3f}", flush=True)

    # PyTorch 1.13 aborts now and then when it takes the group down.
    os._exit(0)


main()

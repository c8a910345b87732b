"""One of two replicas that average gradients by PyTorch's PowerSGD hook. Arguments: folder, replica, rank, updates, shapes such as 21x67; the last is a vector.

Reads projections.bin (a matrix [longer side, rank] after the other, those for one shape together) and gradients-REPLICA.bin (update after update) of 32-bit floats from the folder, and writes means-REPLICA.bin and
errors-REPLICA.bin (after the last update) in the same layout. Tall matrices go through the hook transposed, as it never does that itself.
"""
import os
import sys

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as powersgd


class Bucket:
    def __init__(self, parts):
        self.shapes, self.flat = [part.shape for part in parts], torch.cat([part.reshape(-1) for part in parts])

    def buffer(self):
        return self.flat

    def index(self):
        return 0

    def is_last(self):
        return True

    def gradients(self):
        return [part.view(shape) for part, shape in zip(self.flat.split([shape.numel() for shape in self.shapes]), self.shapes)]


def read(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.float32)


def write(name, tensors):
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(torch.cat([tensor.reshape(-1) for tensor in tensors]).numpy().tobytes())


def turned(parts):
    """Matrices with more rows than columns transposed; again, and they are as before."""
    return [part.t().contiguous() if len(shape) == 2 and shape[0] > shape[1] else part for part, shape in zip(parts, SHAPES)]


def split(flat, shapes):
    return [part.view(shape) for part, shape in zip(flat.split([shape.numel() for shape in shapes]), shapes)]


FOLDER, REPLICA, RANK, UPDATES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
SHAPES = [torch.Size(int(side) for side in text.split("x")) for text in sys.argv[5:]]
dist.init_process_group("gloo", init_method="file://" + os.path.join(FOLDER, "group"), rank=REPLICA, world_size=2)
state = powersgd.PowerSGDState(None, matrix_approximation_rank=RANK, start_powerSGD_iter=2, min_compression_rate=1)
state.iter = 2
projections, means = read("projections.bin"), []
for gradient in read(f"gradients-{REPLICA}.bin").view(UPDATES, -1):
    # As if each were the update after one that ended with these.
    state.q_memory_dict[0] = projections.clone()
    state.p_memory_dict[0] = torch.empty(sum(min(shape) * RANK for shape in SHAPES if len(shape) == 2))
    bucket = Bucket(turned(split(gradient, SHAPES)))
    powersgd.powerSGD_hook(state, bucket).wait()
    means += turned(bucket.gradients())
write(f"means-{REPLICA}.bin", means)
bucket.flat = state.error_dict[0]
write(f"errors-{REPLICA}.bin", turned(bucket.gradients()))

# PyTorch 1.13 aborts now and then when it takes the group down.
os._exit(0)

"""An all-reduce of float32 between two processes with gloo over loopback. Arguments: bytes of the array, timed operations. Prints the median seconds of one."""
import socket
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run(rank, port, size, rounds):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    array = torch.zeros(size // 4)
    seconds = []
    for step in range(-(rounds // 2), rounds):
        began = time.perf_counter()
        dist.all_reduce(array)
        if step >= 0:
            seconds.append(time.perf_counter() - began)
    dist.barrier()
    if rank == 0:
        print(statistics.median(seconds), flush=True)


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(run, args=(port, int(sys.argv[1]), int(sys.argv[2])), nprocs=2)

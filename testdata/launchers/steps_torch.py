"""A rank of torch.distributed over gloo that works: step after step it computes a little and sums over all ranks."""
import os
import time

import torch
import torch.distributed as dist

from report import report

dist.init_process_group("gloo")
report(dist.get_rank(), int(os.environ["LOCAL_RANK"]))
torch.set_num_threads(1)
a = torch.randn(256, 256)
while True:
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        a = torch.tanh(a @ a)
    dist.all_reduce(a)

"""A process of JAX: by what JAX_PROCESS_ID says, or, without it, by what JAX itself finds (Slurm, Open MPI)."""
import os
import time

import jax
import numpy
from jax.experimental import multihost_utils

from report import report

if "JAX_PROCESS_ID" in os.environ:
    jax.distributed.initialize(
        coordinator_address=os.environ["JAX_COORDINATOR_ADDRESS"],
        num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
        process_id=int(os.environ["JAX_PROCESS_ID"]),
    )
else:
    jax.distributed.initialize()
seen = multihost_utils.process_allgather(numpy.ones(1))
assert seen.size == jax.process_count() > 1, seen
report(jax.process_index(), int(os.environ.get("SLURM_LOCALID", -1)))
time.sleep(3600)

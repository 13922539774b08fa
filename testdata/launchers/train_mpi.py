"""A rank of MPI."""
import os
import time

from mpi4py import MPI

from report import report

world = MPI.COMM_WORLD
assert world.allreduce(1) == world.size
local = world.Split_type(MPI.COMM_TYPE_SHARED).rank
report(world.rank, local)
time.sleep(3600)

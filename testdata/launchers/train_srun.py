"""A task of Slurm's srun, without any framework."""
import os
import time

from report import report

report(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_LOCALID"]))
time.sleep(3600)

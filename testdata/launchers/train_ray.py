"""The driver of a Ray Train run of four workers on two nodes."""
import time

import ray
import ray.train
from ray.train import ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from report import report


def work():
    context = ray.train.get_context()
    report(context.get_world_rank(), context.get_local_rank())
    time.sleep(3600)

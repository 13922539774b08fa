"""The driver of a Ray Train run of four workers on two nodes, which have two places each."""
import time

import ray
import ray.train
from ray.train import ScalingConfig, collective
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


def work():
    from report import report

    context = ray.train.get_context()
    collective.barrier()
    report(context.get_world_rank(), context.get_local_rank(), "ray")
    time.sleep(3600)


ray.init(address="auto")
DataParallelTrainer(work, scaling_config=ScalingConfig(num_workers=4)).fit()

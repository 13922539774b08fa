"""A worker of TensorFlow's MultiWorkerMirroredStrategy, by TF_CONFIG."""
import time

import tensorflow as tf

from report import report

strategy = tf.distribute.MultiWorkerMirroredStrategy()
resolver = strategy.cluster_resolver
seen = strategy.run(lambda: tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones(1)))
assert int(seen[0]) == strategy.num_replicas_in_sync > 1, seen
chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
report(resolver.task_id + (chiefs if resolver.task_type == "worker" else 0), -1)
time.sleep(3600)

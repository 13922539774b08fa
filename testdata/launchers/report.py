"""What a rank says of itself, for the test to compare with what is told of it."""
import json
import os
import socket
import sys


def report(rank, local, **more):
    """Writes /srv/out/LABEL-RANK.json, whole; LABEL is the last word of the command line."""
    path = "/srv/out/%s-%d.json" % (sys.argv[-1], rank)
    with open(path + ".new", "w") as f:
        json.dump(dict(rank=rank, local_rank=local, node=socket.gethostname(), pid=os.getpid(), **more), f)
    os.rename(path + ".new", path)

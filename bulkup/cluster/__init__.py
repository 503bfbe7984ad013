"""Several machines for one run, by dask.distributed: what only `--dask` needs.

The machine where the command was typed is the coordinator: it walks, keeps the ledger, makes the
albums, decides how many photos are finished at once, and reports. Dask brings tasks to its
workers, restarts those that die, and knows who may trust whom. Each task has a worker come to the
coordinator's `desk` for a batch; what is in it is decided only then, so a task that Dask runs
again, or not at all, costs no photo. All the rest goes over one connection from each worker
straight to the desk: lines of JSON, encrypted by the very certificates that Dask uses. Dask's own
ways were tried on paper first. Its actors live on a worker, and die with it, while the desk dies
only with the run. Its queues and events go through the scheduler, which would carry several
messages for each photo. Its comms unpickle whatever somebody sends to an open port.
"""

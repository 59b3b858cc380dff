"""Workers on the nodes of a Ray cluster.

A worker on a node has two halves. The near half (`near`) is a child of the daemon: it uses `processors.protocol` on its
pipes like every worker, and only it accesses the daemon's folders. The far half (`far`) is a Ray actor on the node: it
runs an ordinary `processors.worker` as its own child, and stores only the files of running jobs. The near half calls,
and the far half answers; each gives up on the other after a time without a call or an answer. `watch` reports the nodes
to the daemon. Only `ray_link` imports Ray.
"""

"""Workers on the nodes of a Ray cluster.

A worker there has two halves. `near` is the child of the daemon: it speaks `processors.protocol` on its pipes as every
worker does, and alone touches the daemon's folders. `far` is a Ray actor on the node: it runs an ordinary
`processors.worker` as its own child, and keeps nothing but the files of running jobs. `near` calls, `far` answers, and
each gives the other up when it hears nothing from it. `watch` reports the nodes. Only `ray_link` imports Ray.
"""

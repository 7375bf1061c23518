"""Workers as actors of Ray, on this machine or on a cluster."""

from sweeps.engines.ray.cluster import connect, count_hosts, plan_cluster
from sweeps.engines.ray.engine import RayEngine

__all__ = ["RayEngine", "connect", "count_hosts", "plan_cluster"]

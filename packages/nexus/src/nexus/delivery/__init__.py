"""The only senders: what services wrote to the store goes out from here, and from nowhere else."""

from nexus.delivery.delivery import Delivery
from nexus.delivery.outlet import Outlet, OutletClosed
from nexus.delivery.patience import patiently
from nexus.delivery.session import LiveSession

__all__ = ["Delivery", "LiveSession", "Outlet", "OutletClosed", "patiently"]

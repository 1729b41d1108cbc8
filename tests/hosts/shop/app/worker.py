"""A worker in a process of its own, as with Celery: packs an order and notifies its customer.

Usage: python -m app.worker API_URL ORDER_ID
"""

import sys

import httpx

from app.core.config import settings
from app.core.db import sessions
from app.models import Order


def pack(api_url: str, order_id: int) -> None:
    with sessions() as session:
        order = session.get_one(Order, order_id)
        order.status = "packed"
        session.commit()
        notification = {
            "user_id": order.customer_id,
            "text": f"Order {order_id} is packed",
            "id": f"packed-{order_id}",
        }
    response = httpx.post(
        f"{api_url}{settings.API_V1_STR}/worker/notifications",
        json=notification,
        headers={"X-Worker-Key": settings.WORKER_KEY.get_secret_value()},
    )
    response.raise_for_status()


if __name__ == "__main__":
    pack(sys.argv[1], int(sys.argv[2]))

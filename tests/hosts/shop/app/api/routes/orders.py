"""Orders, and the messages from the shop about them."""

from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.deps import AsyncSessionDep, ChatDep, CurrentUser, SessionDep
from app.models import Order
from socketio_app import Chat, Person

SHOP = "shop"
"""The user of the chat whom the messages are from."""

STOCK = 2
"""Pieces of each item that can be sold."""

router = APIRouter()


@router.post("", status_code=201)
async def place(
    item: str, user: CurrentUser, session: AsyncSessionDep, chat: ChatDep, tasks: BackgroundTasks
) -> int:
    """Store an order together with the message about it, and return its id.

    The message is sent after the commit. If the item is sold out, there is neither.
    """
    order = Order(customer_id=user.id, item=item)
    session.add(order)
    await session.flush()
    text = f"We have your order {order.id}: {item}"
    await chat.send(SHOP, Person(user.id), text, connection=session)
    await check_stock(session, item)
    await session.commit()
    tasks.add_task(say_thanks, chat, user.id)
    return order.id


async def check_stock(session: AsyncSession, item: str) -> None:
    ordered = select(func.count()).where(Order.item == item, Order.status != "cancelled")
    if (await session.scalars(ordered)).one() > STOCK:
        raise HTTPException(409, f"{item} is sold out")


async def say_thanks(chat: Chat, user_id: int) -> None:
    await chat.send(SHOP, Person(user_id), "Thank you!")


@router.post("/{order_id}/cancel")
def cancel(order_id: int, user: CurrentUser, session: SessionDep, chat: ChatDep) -> None:
    """Cancel an order in a transaction of a thread."""
    order = session.get(Order, order_id)
    if order is None or order.customer_id != user.id:
        raise HTTPException(404)
    if order.status != "placed":
        raise HTTPException(409, f"The order is {order.status}")
    order.status = "cancelled"
    text = f"Order {order_id} is cancelled"
    chat.from_thread.send(SHOP, Person(user.id), text, connection=session)
    session.commit()


@router.post("/{order_id}/questions")
def ask(order_id: int, text: str, user: CurrentUser, chat: ChatDep) -> int:
    """Send the shop a message, and return its number in the conversation."""
    sent = chat.from_thread.send(user.id, Person(SHOP), f"Order {order_id}: {text}")
    return sent.message.seq


@router.get("/messages")
async def messages(user: CurrentUser, chat: ChatDep) -> list[str]:
    """Return the newest messages between the user and the shop."""
    page = await chat.history(user.id, Person(SHOP))
    return [message.content for message in page.messages]

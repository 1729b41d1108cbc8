"""The routes that the worker calls, which is another process and has no chat."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from app.api.deps import ChatDep, check_worker_key
from app.api.routes.orders import SHOP
from socketio_app import Person

router = APIRouter(dependencies=[Depends(check_worker_key)])


class Notification(BaseModel):
    user_id: int
    text: str
    id: str
    """The same for each attempt, so that retries send nothing twice."""


@router.post("/notifications", status_code=204)
async def notify(given: Notification, chat: ChatDep) -> None:
    target = Person(given.user_id)
    await chat.send(SHOP, target, given.text, client_message_id=given.id)

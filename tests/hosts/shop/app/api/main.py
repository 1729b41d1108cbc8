"""All routes of the API."""

from fastapi import APIRouter

from app.api.routes import login, orders, worker

api_router = APIRouter()
api_router.include_router(login.router, tags=["login"])
api_router.include_router(orders.router, prefix="/orders", tags=["orders"])
api_router.include_router(worker.router, prefix="/worker", tags=["worker"])

"""Sign-up, and the login that issues the tokens for the API and the chat."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel
from sqlalchemy import select

from app.api.deps import SessionDep
from app.core.config import settings
from app.core.security import create_access_token, hash_password, verify_password
from app.models import User

router = APIRouter()


class SignUp(BaseModel):
    email: str
    password: str


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


@router.post("/signup", status_code=201)
def sign_up(given: SignUp, session: SessionDep) -> int:
    """Create a user, and return its id."""
    user = User(email=given.email, hashed_password=hash_password(given.password))
    session.add(user)
    session.commit()
    return user.id


@router.post("/login/access-token")
def login(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep, response: Response
) -> Token:
    user = session.scalar(select(User).where(User.email == form.username))
    if user is None or not verify_password(form.password, user.hashed_password):
        raise HTTPException(400, "Incorrect email or password")
    token = create_access_token(user.id)
    if settings.SESSION_COOKIE:
        response.set_cookie(settings.SESSION_COOKIE, token, httponly=True, samesite="lax")
    return Token(access_token=token)

"""The tables."""

from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int = Field(default=None, primary_key=True)
    email: str = Field(max_length=255, unique=True, index=True)
    hashed_password: str = Field(max_length=255)


class Order(SQLModel, table=True):
    __tablename__ = "orders"

    id: int = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="users.id")
    item: str = Field(max_length=255)
    status: str = Field(default="placed", max_length=20)


metadata = SQLModel.metadata

"""A todo service as people usually write it: what `build.py bench api` measures ours beside.

FastAPI with plain `def` endpoints in its thread pool, a synchronous SQLAlchemy session out of a
dependency with `yield`, `response_model`, PyJWT in a dependency, pages by offset, search by ILIKE.
It spares itself what would be slow by neglect alone: its pool never runs dry, its tables have the
index that a list needs, and a list counts no total. It keeps no journal.
"""

import os
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import create_engine, or_, select
from sqlalchemy.orm import Session, sessionmaker

from tests.bench.peer.models import Base, Task
from tests.bench.peer.schemas import TaskCreate, TaskRead

SECRET = os.environ["PEER_SECRET"]
# FastAPI's thread pool has 40 threads: none of them ever waits for a connection.
engine = create_engine(os.environ["PEER_DATABASE_URL"], pool_size=40, max_overflow=10)
make_session = sessionmaker(engine)
Base.metadata.create_all(engine)
app = FastAPI(title="Peer")
bearer = HTTPBearer()


def get_session() -> Iterator[Session]:
    with make_session() as session:
        yield session


def get_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Invalid token") from None
    return str(claims["sub"])


SessionDep = Annotated[Session, Depends(get_session)]
UserDep = Annotated[str, Depends(get_user)]


@app.get("/tasks", response_model=list[TaskRead])
def list_tasks(
    session: SessionDep,
    user: UserDep,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    search: str | None = None,
) -> object:
    statement = select(Task).where(Task.owner == user)
    if search:
        pattern = f"%{search}%"
        statement = statement.where(or_(Task.title.ilike(pattern), Task.description.ilike(pattern)))
    statement = statement.order_by(Task.created_at.desc()).offset(offset).limit(limit)
    return session.scalars(statement).all()


@app.get("/tasks/{task_id}", response_model=TaskRead)
def read_task(session: SessionDep, user: UserDep, task_id: UUID) -> object:
    task = session.get(Task, task_id)
    if task is None or task.owner != user:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Task not found")
    return task


@app.post("/tasks", response_model=TaskRead, status_code=status.HTTP_201_CREATED)
def create_task(session: SessionDep, user: UserDep, body: TaskCreate) -> object:
    task = Task(owner=user, **body.model_dump())
    session.add(task)
    session.commit()
    session.refresh(task)
    return task

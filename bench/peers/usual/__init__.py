"""The usual Python build of the same reads and writes: FastAPI, Pydantic, SQLAlchemy ORM, asyncpg, uvicorn."""

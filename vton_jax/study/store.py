"""A study in one SQLite file: its settings, its pictures, and what participants answered. Written ahead (WAL).

Conventions: times are seconds since 1970 on the server, milliseconds on the participant's clock. An answer is written
once, whatever is sent again: UNIQUE(session, trial).
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vton_jax.core.errors import UserError

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pictures (
  id INTEGER PRIMARY KEY, arm TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, png BLOB NOT NULL,
  UNIQUE (arm, name, kind));
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, participant TEXT NOT NULL UNIQUE, external TEXT UNIQUE,
  row INTEGER NOT NULL, trials TEXT NOT NULL, began REAL NOT NULL, ended REAL, about TEXT NOT NULL);
CREATE TABLE answers (
  session INTEGER NOT NULL REFERENCES sessions (id), trial INTEGER NOT NULL, client TEXT NOT NULL,
  response TEXT NOT NULL, rt REAL, shown_ms REAL, frames INTEGER, refresh_ms REAL, onset_ms REAL, offset_ms REAL,
  focus_lost INTEGER, elapsed_ms REAL, at REAL NOT NULL, UNIQUE (session, trial));
CREATE TABLE events (
  session INTEGER NOT NULL REFERENCES sessions (id), client TEXT NOT NULL UNIQUE, trial INTEGER, kind TEXT NOT NULL,
  detail TEXT NOT NULL, elapsed_ms REAL, at REAL NOT NULL);
"""
ANSWER = (
    "response", "rt", "shown_ms", "frames", "refresh_ms", "onset_ms", "offset_ms", "focus_lost", "elapsed_ms",
)  # fmt: skip
_ACTIVE = 3600  # seconds after which a session that has not ended is taken for given up


class Store:
    """A study's file. Connections are made for each use, so that threads and processes may share a store.

    Raises: UserError where the file is none.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"There is no study {path}; python -m vton_jax.study create makes one.")
        try:
            with self.reading() as connection:
                self.settings = {
                    name: json.loads(value) for name, value in connection.execute("SELECT name, value FROM settings")
                }
        except sqlite3.DatabaseError:
            raise UserError(f"{path} is no study.") from None

    @classmethod
    def create(cls, path: str | Path, settings: dict[str, Any], pictures: list[tuple[str, str, str, bytes]]) -> "Store":
        """A new study. Args: pictures: (arm, name, kind, PNG). Raises: UserError where there is one already."""
        path = Path(path)
        if path.exists():
            raise UserError(f"{path} exists already; answers may be in it: name another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(temporary)) as connection, connection:
            connection.executescript(_SCHEMA)
            rows = [(name, json.dumps(value)) for name, value in settings.items()]
            connection.executemany("INSERT INTO settings VALUES (?, ?)", rows)
            connection.executemany("INSERT INTO pictures (arm, name, kind, png) VALUES (?, ?, ?, ?)", pictures)
        temporary.replace(path)
        return cls(path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self._connected()) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's one lock for writers from its begin."""
        with contextlib.closing(self._connected()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged is on the disk
        return connection

    # ------------------------------------------------------------------------------------------------------- pictures

    def pictures(self) -> list[sqlite3.Row]:
        """All pictures without their bytes: id, arm, name, kind."""
        with self.reading() as connection:
            return list(connection.execute("SELECT id, arm, name, kind FROM pictures ORDER BY id"))

    def png(self, number: int) -> bytes:
        with self.reading() as connection:
            return connection.execute("SELECT png FROM pictures WHERE id = ?", (number,)).fetchone()["png"]

    # ------------------------------------------------------------------------------------------------------- sessions

    def begin(self, token: str, participant: str, external: str | None, about: dict, *, trials_of, rows: int):
        """A new session in the row of the Latin square that fewest have; or the one that `external` has already.

        Args: trials_of: row, session's number -> list of trials. rows: of the square.
        """
        with self.writing() as connection:
            if external is not None:
                found = connection.execute("SELECT * FROM sessions WHERE external = ?", (external,)).fetchone()
                if found is not None:
                    return found
            now = time.time()
            counted = dict.fromkeys(range(rows), 0)
            active = connection.execute(
                "SELECT row, COUNT(*) AS n FROM sessions WHERE ended IS NOT NULL OR began > ? GROUP BY row",
                (now - _ACTIVE,),
            )
            counted |= {row["row"]: row["n"] for row in active}
            row = min(counted, key=lambda index: (counted[index], index))
            number = connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM sessions").fetchone()[0]
            connection.execute(
                "INSERT INTO sessions (id, token, participant, external, row, trials, began, about) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, token, participant, external, row, json.dumps(trials_of(row, number)), now, json.dumps(about)),
            )
            return connection.execute("SELECT * FROM sessions WHERE id = ?", (number,)).fetchone()

    def session(self, token: str) -> sqlite3.Row | None:
        with self.reading() as connection:
            return connection.execute("SELECT * FROM sessions WHERE token = ?", (token,)).fetchone()

    def participant(self, code: str) -> sqlite3.Row | None:
        """The session of a participant's code."""
        with self.reading() as connection:
            return connection.execute("SELECT * FROM sessions WHERE participant = ?", (code,)).fetchone()

    def answered(self, session: int) -> int:
        """How many trials of a session have answers."""
        with self.reading() as connection:
            return connection.execute("SELECT COUNT(*) FROM answers WHERE session = ?", (session,)).fetchone()[0]

    def answer(self, session: int, trial: int, client: str, values: dict[str, Any], last: bool) -> int:
        """Writes an answer unless there is one, and ends the session after the last; returns how many there are."""
        with self.writing() as connection:
            names = ("session", "trial", "client", *ANSWER, "at")
            row = (session, trial, client, *(values.get(name) for name in ANSWER), time.time())
            marks = ", ".join("?" * len(names))
            connection.execute(
                f"INSERT INTO answers ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (session, trial) DO NOTHING",
                row,
            )
            if last:
                connection.execute("UPDATE sessions SET ended = ? WHERE id = ? AND ended IS NULL", (row[-1], session))
            return connection.execute("SELECT COUNT(*) FROM answers WHERE session = ?", (session,)).fetchone()[0]

    def event(self, session: int, client: str, trial: int | None, **seen: Any) -> None:
        """Writes what happened on the page, once: `kind`, `detail`, `elapsed_ms`."""
        with self.writing() as connection:
            connection.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client) DO NOTHING",
                (session, client, trial, seen["kind"], seen["detail"], seen["elapsed_ms"], time.time()),
            )

    def all(self, table: str) -> list[sqlite3.Row]:
        """All rows of `sessions`, `answers` or `events`."""
        if table not in ("sessions", "answers", "events"):
            raise ValueError(table)
        with self.reading() as connection:
            return list(connection.execute(f"SELECT * FROM {table} ORDER BY rowid"))

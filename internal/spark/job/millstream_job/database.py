"""PostgreSQL through its JDBC driver, in the driver's JVM.

JDBC and not a Python driver: the jar travels with the application
(--packages), so executors need nothing but Spark itself.
"""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

URL = "DATABASE_URL"
DRIVER = "org.postgresql.Driver"

# Milliseconds that a transaction whose driver is silent keeps its locks, and
# that a statement waits for a lock: longer, or a driver that is frozen within a
# batch would keep the next one from starting.
IDLE_TIMEOUT = 60_000
LOCK_TIMEOUT = 2 * IDLE_TIMEOUT


class DatabaseError(Exception):
    """What PostgreSQL answered, with its SQLSTATE."""

    def __init__(self, message, state):
        super().__init__(message)
        self.state = state or ""


def settings():
    """JDBC's URL and properties, from the environment: DATABASE_URL, or the
    file that DATABASE_URL_FILE names, and the PG* variables for the rest."""
    url = os.environ.get(URL, "")
    if not url and os.environ.get(URL + "_FILE"):
        with open(os.environ[URL + "_FILE"], encoding="utf-8") as f:
            url = f.read().strip()
    parts = urlsplit(url) if url else urlsplit("postgres://")
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or options.pop("host", None) or os.environ.get("PGHOST", "localhost")
    port = parts.port or os.environ.get("PGPORT", "5432")
    name = unquote(parts.path.lstrip("/")) or os.environ.get("PGDATABASE", "postgres")
    user = unquote(parts.username or "") or os.environ.get("PGUSER", "postgres")
    password = unquote(parts.password or "") or os.environ.get("PGPASSWORD", "")
    properties = {
        "user": user, "driver": DRIVER, "stringtype": "unspecified", "reWriteBatchedInserts": "true",
        "ApplicationName": "millstream-spark", "tcpKeepAlive": "true",
        "options": f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT} -c idle_in_transaction_session_timeout={IDLE_TIMEOUT}",
    }
    if password:
        properties["password"] = password
    for name_, value in options.items():
        if name_ in ("sslmode", "sslrootcert", "sslcert", "sslkey"):
            properties[name_] = value
    if ":" in host:
        host = f"[{host}]"
    return f"jdbc:postgresql://{host}:{port}/{name}", properties


class Connection:
    """One session. Statements run in one transaction until commit."""

    def __init__(self, spark):
        self.jvm = spark._jvm
        url, properties = settings()
        p = self.jvm.java.util.Properties()
        for name, value in properties.items():
            if name != "driver":
                p.setProperty(name, value)
        self.raw = self._try(lambda: self.jvm.org.postgresql.Driver().connect(url, p))
        self.raw.setAutoCommit(False)

    @staticmethod
    def _try(call):
        from py4j.protocol import Py4JJavaError

        try:
            return call()
        except Py4JJavaError as e:
            cause = e.java_exception
            state = cause.getSQLState() if "SQLException" in cause.getClass().getName() else ""
            raise DatabaseError(cause.getMessage(), state) from None

    def run(self, sql):
        """Runs a text without parameters; gives the number of rows it changed."""
        statement = self.raw.createStatement()
        try:
            self._try(lambda: statement.setEscapeProcessing(False))
            self._try(lambda: statement.execute(sql))
            return statement.getUpdateCount()
        finally:
            statement.close()

    def query(self, sql, *args):
        """Rows of texts and None. args stand for ? in the statement, as texts."""
        statement = self._try(lambda: self.raw.prepareStatement(sql))
        try:
            for i, value in enumerate(args):
                statement.setString(i + 1, None if value is None else str(value))
            if not self._try(statement.execute):
                return []
            result, rows = statement.getResultSet(), []
            columns = result.getMetaData().getColumnCount()
            while self._try(result.next):
                rows.append(tuple(result.getString(i + 1) for i in range(columns)))
            return rows
        finally:
            statement.close()

    def savepoint(self):
        return self._try(self.raw.setSavepoint)

    def back(self, savepoint):
        self._try(lambda: self.raw.rollback(savepoint))

    def commit(self):
        self._try(self.raw.commit)

    def rollback(self):
        self._try(self.raw.rollback)

    def close(self):
        if not self.raw.isClosed():
            self.raw.close()

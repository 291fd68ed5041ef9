"""The deployment's database, opened as the settings say; for the composition roots."""

from sqlalchemy import Engine

from cloud.errors import SettingsError
from cloud.settings import Settings, database_url
from cloud.store.engine import open_engine
from cloud.store.schema import check_schema, has_tables, migrate

__all__ = ["make_data_dir", "open_database"]


def open_database(settings: Settings) -> Engine:
    """The database; an SQLite file that is missing or empty is made at once, any other must have been migrated."""
    make_data_dir(settings)
    engine = open_engine(database_url(settings))
    if engine.dialect.name == "sqlite" and not has_tables(engine):
        migrate(engine)
    check_schema(engine)
    return engine


def make_data_dir(settings: Settings) -> None:
    """Make the data folder; raises SettingsError where that cannot be."""
    folder = settings.data_dir.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise SettingsError(f"data_dir: {folder} cannot be made: {error.strerror}") from error

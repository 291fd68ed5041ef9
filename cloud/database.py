"""The deployment's database, opened as the settings say; for the composition roots."""

from pathlib import Path

from sqlalchemy import Engine

from cloud.errors import SettingsError
from cloud.settings import Settings, database_url
from cloud.store.engine import open_engine, store_name
from cloud.store.schema import check_schema, has_tables, migrate

__all__ = ["find_database", "make_data_dir", "open_database"]


def open_database(settings: Settings) -> Engine:
    """The database; an SQLite file that is missing or empty is made at once, any other must have been migrated."""
    make_data_dir(settings)
    engine = open_engine(database_url(settings))
    if engine.dialect.name == "sqlite" and not has_tables(engine):
        migrate(engine)
    check_schema(engine)
    return engine


def find_database(settings: Settings) -> Engine:
    """The database of a cloud that has run already; raises SettingsError where there is none, and makes nothing."""
    engine = open_engine(database_url(settings))
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if (file is not None and not _has_content(Path(file))) or not has_tables(engine):
        raise SettingsError(
            f"there is no database at {store_name(engine)}: name the settings of the cloud by --config FILE, and its"
            " data folder by FOOTFALL_CLOUD_DATA_DIR where they do not; a new cloud makes one when it starts"
        )
    check_schema(engine)
    return engine


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def make_data_dir(settings: Settings) -> None:
    """Make the data folder; raises SettingsError where that cannot be."""
    folder = settings.data_dir.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise SettingsError(f"data_dir: {folder} cannot be made: {error.strerror}") from error

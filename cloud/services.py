"""What runs until a signal: the site with all that stands beside it, and the ingest alone.

The composition root: the database and the broker are opened here, threads begin and end here.
"""

import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

import uvicorn
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.links import make_setup_link
from cloud.alerts.watch import AlertWatch
from cloud.alerts.webhook import Webhook
from cloud.auth import AdminKey, admin_key
from cloud.connections import HandshakeTimed, HeadTimed, Listener, room
from cloud.database import open_database
from cloud.devices.authority import open_authority
from cloud.devices.workers import Worker
from cloud.errors import SettingsError
from cloud.garbage import collect_seldom
from cloud.ingest.broker import BrokerAddress
from cloud.ingest.commit import Committer
from cloud.ingest.worker import Ingest
from cloud.metrics.process import CloudMetrics
from cloud.metrics.server import serving
from cloud.settings import AlertSettings, BrokerSettings, ListenSettings, Settings, signing_key
from cloud.store.engine import store_name, writing
from cloud.store.moments import to_ms, utc_now
from cloud.upkeep import UpkeepWatch, jobs_of
from cloud.web import create_site
from cloud.web.front_end import absent

__all__ = ["ingest", "serve"]

_log = logging.getLogger(__name__)


def serve(settings: Settings, *, takes_in: bool) -> int:
    """Serve the API and the pages until a signal, and take in what boxes send unless that runs elsewhere."""
    engine = open_database(settings)
    key = admin_key(settings)
    _require_certificate(settings.listen)
    listener = _listen(settings.listen, proxies=settings.access.trusted_proxies)
    metrics = CloudMetrics()
    stop = threading.Event()
    site = create_site(settings, engine, metrics=metrics, ending=stop)
    # Whose word is taken for where a request came from is a setting of the site's own.
    config = uvicorn.Config(
        site,
        loop="asyncio",
        http=HeadTimed,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.listen.certificate_file,
    )
    server = _Server(config, ending=stop)

    def end() -> None:
        stop.set()
        server.should_exit = True

    _on_signals(end)
    collect_seldom()
    _greet(settings, engine, key, takes_in=takes_in)
    beside = [
        _Beside("alerts", _make_watch(settings, engine).run, stop=stop, at_end=end),
        _Beside("upkeep", _make_upkeep(settings, engine).run, stop=stop, at_end=end),
    ]
    if takes_in:
        worker = _make_worker(settings, engine)
        beside.append(_Beside("ingest", _make_ingest(settings, engine, metrics, worker).run, stop=stop, at_end=end))
        if worker is not None:
            beside.append(_Beside("certificate", worker.watch, stop=stop, at_end=end))
    return _together(lambda: server.run(sockets=[listener]), beside, stop=stop)


def ingest(settings: Settings) -> int:
    """Take in what boxes send until a signal."""
    engine = open_database(settings)
    stop = threading.Event()
    _on_signals(stop.set)
    collect_seldom()
    print(f"Taking in what boxes send to {_address(settings.broker)}, into {store_name(engine)}. Ctrl-C ends it.")
    metrics = CloudMetrics()
    worker = _make_worker(settings, engine)
    taking_in = _make_ingest(settings, engine, metrics, worker)
    beside = [
        _Beside("alerts", _make_watch(settings, engine).run, stop=stop, at_end=stop.set),
        _Beside("upkeep", _make_upkeep(settings, engine).run, stop=stop, at_end=stop.set),
    ]
    if worker is not None:
        beside.append(_Beside("certificate", worker.watch, stop=stop, at_end=stop.set))
    with serving(metrics.registry, host=settings.metrics.host, port=settings.metrics.port):
        return _together(lambda: taking_in.run(stop), beside, stop=stop)


def _together(work: Callable[[], None], beside: Sequence["_Beside"], *, stop: threading.Event) -> int:
    """Run the main work with others beside it, until it ends; the exit code."""
    for one in beside:
        one.start()
    try:
        work()
    finally:
        stop.set()
        for one in beside:
            one.join()
    return 1 if any(one.failure for one in beside) else 0


class _Server(HandshakeTimed):
    """The web server, which waits for every answer before it ends: so a signal ends the streams too."""

    def __init__(self, config: uvicorn.Config, *, ending: threading.Event) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending.set()
        super().handle_exit(sig, frame)


class _Beside(threading.Thread):
    """Work beside the main one: when it fails, the whole program ends, so that whoever watches it starts it anew."""

    def __init__(
        self, name: str, work: Callable[[threading.Event], None], *, stop: threading.Event, at_end: Callable[[], None]
    ) -> None:
        super().__init__(name=name)
        self._work = work
        self._stop_event = stop
        self._at_end = at_end
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._work(self._stop_event)
        except Exception as error:  # noqa: BLE001  whatever ended it, the process must not live on without it
            _log.error("The work on %s ended: %s", self.name, error, exc_info=error, extra={"action": self.name})
            self.failure = error
        finally:
            self._at_end()


def _make_worker(settings: Settings, engine: Engine) -> Worker | None:
    """Who keeps this worker's certificate, where it is one of our own authority."""
    if not settings.broker.own_authority:
        return None
    authority = open_authority(settings.data_dir, now=utc_now())
    worker = Worker(
        engine, authority, data_dir=settings.data_dir, client_id=settings.broker.client_id, now=utc_now
    )  # fmt: skip
    worker.keep()
    return worker


def _make_ingest(settings: Settings, engine: Engine, metrics: CloudMetrics, worker: Worker | None) -> Ingest:
    broker = settings.broker
    return Ingest(
        Committer(engine, utc_now, meter=metrics),
        _certified(broker, worker) if worker else _address(broker),
        client_id=broker.client_id,
        shared_group=broker.shared_group,
    )


def _make_watch(settings: Settings, engine: Engine) -> AlertWatch:
    return AlertWatch(
        engine,
        clock=utc_now,
        receiver=_webhook(settings.alerts),
        silent_minutes=settings.alerts.box_silent_minutes,
    )


def _make_upkeep(settings: Settings, engine: Engine) -> UpkeepWatch:
    jobs = jobs_of(retention_months=settings.upkeep.retention_months)
    return UpkeepWatch(engine, jobs, clock=utc_now, hour=settings.upkeep.hour)


def _webhook(alerts: AlertSettings) -> Webhook | None:
    if alerts.webhook_url is None or alerts.webhook_secret is None:
        return None
    return Webhook(
        url=alerts.webhook_url.get_secret_value(),
        key=signing_key(alerts.webhook_secret),
        allow_private=alerts.webhook_private,
        ca_file=alerts.webhook_ca_file,
    )


def _certified(broker: BrokerSettings, worker: Worker) -> BrokerAddress:
    """The broker's address, with a certificate of our own authority for this worker."""
    files = worker.files
    return replace(
        _address(broker), ca_file=files.authority, certificate_file=files.certificate, key_file=files.certificate
    )


def _address(broker: BrokerSettings) -> BrokerAddress:
    return BrokerAddress(
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=broker.password.get_secret_value() if broker.password else None,
        tls=broker.tls or broker.own_authority,
        ca_file=broker.ca_file,
        certificate_file=broker.certificate_file,
        key_file=broker.key_file,
        version=broker.mqtt_version,
    )


def _listen(listen: ListenSettings, *, proxies: Sequence[str]) -> Listener:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        plain = socket.create_server((listen.host, listen.port), family=family)
    except OSError as error:
        raise SettingsError(
            f"listen: {listen.host} port {listen.port} cannot be listened at: {error.strerror}"
        ) from error
    return Listener(plain, of_one=listen.connections_per_address, of_all=room(listen.connections), proxies=proxies)


def _require_certificate(listen: ListenSettings) -> None:
    """Refuse a certificate that TLS cannot use, before anything is listened at."""
    if listen.certificate_file is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(listen.certificate_file)
    except OSError as error:
        reason = error.strerror or "it has no certificate with its key, in PEM"
        raise SettingsError(f"listen.certificate_file: {listen.certificate_file} cannot be used: {reason}") from error


def _on_signals(do: Callable[[], object]) -> None:
    """What Ctrl-C and SIGTERM do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: do())


def _greet(settings: Settings, engine: Engine, key: AdminKey, *, takes_in: bool) -> None:
    host = f"[{settings.listen.host}]" if ":" in settings.listen.host else settings.listen.host
    scheme = "https" if settings.listen.certificate_file else "http"
    site = f"{scheme}://{host}:{settings.listen.port}"
    root = f"{site}/api/v1"
    print(f"Pages     {site}/")
    if absent():
        print("          without their fonts, heat maps and the API's own page: `make setup` fetches those files")
    print(f"API       {root}, explained at {root}/docs")
    print(f"Described {root}/openapi.json; health at {root}/health")
    print(f"Database  {store_name(engine)}")
    print(f"Ingest    {_address(settings.broker) if takes_in else 'not in this process'}")
    where = f"{'made just now, in' if key.is_new else 'in'} {key.path}" if key.path else "from the settings"
    print(f"Admin key {where}")
    with writing(engine) as connection, Session(connection) as session:
        link = make_setup_link(session, now_ms=to_ms(utc_now()))
    if link is not None:
        print(f"Set up    {site}{link}\n          makes the first admin, once, within a day")
    print("Ctrl-C ends it.", flush=True)

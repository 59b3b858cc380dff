"""The composition root: creates the parts of the daemon and connects them. `service` and the tests use it."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.background import Background
from daemon.core.clock import Clock, SystemClock
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.intake.hasher import Hasher
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.notify.hooks import Hooks
from daemon.notify.systemd import Notifier
from daemon.publishing.correction_placer import CorrectionPlacer
from daemon.publishing.publisher import Publisher
from daemon.queue.backup import Backup
from daemon.queue.store import Store
from daemon.recovery.rebuild import Rebuild
from daemon.recovery.retention import Retention
from daemon.recovery.startup import Recovery
from daemon.scheduling.attempts import Attempts
from daemon.scheduling.dispatcher import Dispatcher
from daemon.scheduling.failed_attempts import FailedAttempts
from daemon.scheduling.outcomes import Outcomes
from daemon.scheduling.pause import Pause
from daemon.scheduling.pools import Pools
from daemon.scheduling.progress import ProgressBoard
from daemon.server.commands import Commands
from daemon.server.control_socket import ControlServer
from daemon.server.events import Events
from daemon.server.feed import Feed
from daemon.server.job_commands import JobCommands
from daemon.server.mailbox import Mailbox
from daemon.server.reload import Reloader
from daemon.server.status import Problems, StatusReport
from daemon.server.timetable import Timetable
from daemon.telemetry.exporter import Exporter
from daemon.telemetry.gpu import Gpu
from daemon.workers.cluster_watch import ClusterWatch
from daemon.workers.launcher import Launcher
from daemon.workers.supervisor import Spawn, Workers


@dataclass(frozen=True, kw_only=True)
class App:
    """The parts of one daemon. After `build`, only the hasher has started a thread."""

    settings: CurrentSettings
    clock: Clock
    # files and rows
    folders: Folders
    store: Store
    disk_retry: DiskRetry
    background: Background
    # from the inbox to the outbox
    watcher: Watcher
    intake: Intake
    workers: Workers
    cluster: ClusterWatch
    pools: Pools
    progress: ProgressBoard
    pause: Pause
    dispatcher: Dispatcher
    outcomes: Outcomes
    publishing: Publisher
    # at the start, and at night
    rebuild: Rebuild
    recovery: Recovery
    retention: Retention
    backup: Backup
    timetable: Timetable
    # to people and programs
    notifier: Notifier
    hooks: Hooks
    exporter: Exporter
    feed: Feed
    control: ControlServer
    problems: Problems
    status: StatusReport
    reloader: Reloader
    commands: Commands


def build(
    settings: Settings,
    *,
    folders: Folders,
    mailbox: Mailbox,
    clock: Clock | None = None,
    spawn: Spawn | None = None,
    hasher: Hasher | None = None,
    gpus: Sequence[Gpu] = (),
    background: Background | None = None,
    notifier: Notifier | None = None,
    ignore_pause: bool = False,
) -> App:
    """Open the job log and build the parts. The caller has prepared and locked the folders.

    clock, spawn, hasher, background: replacements, in tests, for the system's clocks and for work outside the main
    thread. gpus: those of this machine. notifier: an existing one; None: create one. ignore_pause: start jobs even
    while the daemon is paused, or outside the active hours.

    Raises:
        StorageError, StoreError: the job log cannot be opened.
    """
    post, clock, current = mailbox.put, clock or SystemClock(), CurrentSettings(settings)
    store = Store(settings.database, clock=clock.now_us)
    disk_retry = DiskRetry(folders, store, clock=clock.monotonic)
    launcher = Launcher(post, descriptors=folders.held, settings=current)
    workers = Workers(spawn or launcher, settings.models, clock=clock.monotonic)
    cluster = ClusterWatch(post)
    background = background or Background(post)
    publishing = Publisher(current, store, folders, disk_retry, background)
    watcher = Watcher(post)
    intake = Intake(current, store, folders, disk_retry, watcher, post, now_us=clock.now_us, hasher=hasher)

    pause = Pause(current, ignored=ignore_pause)
    pools, attempts, progress = (
        Pools(current, clock, gpus),
        Attempts(store=store, disk_retry=disk_retry),
        ProgressBoard(),
    )
    dispatcher = Dispatcher(
        current, store, folders, disk_retry, workers, publishing, pause, pools, attempts, progress, clock
    )
    failed_attempts = FailedAttempts(current, folders, disk_retry, publishing, pools, attempts, clock)
    outcomes = Outcomes(failed_attempts, folders, workers, publishing, pools, attempts, progress, clock)

    retention = Retention(current, store, folders)
    timetable = Timetable(post, settings.schedule)
    notifier = notifier or Notifier()
    feed = Feed(settings.database, post)
    hooks, exporter, problems = Hooks(settings), Exporter(post), Problems()
    status = StatusReport(
        current,
        store,
        folders,
        disk_retry,
        workers,
        pools,
        dispatcher,
        progress,
        pause,
        intake,
        watcher,
        exporter,
        problems,
        clock,
    )
    reloader = Reloader(current, notifier, problems, show_problem=lambda: notifier.status(status.one_line()))
    job_commands = JobCommands(
        current, store, disk_retry, publishing, CorrectionPlacer(store, folders), dispatcher, intake, retention
    )
    commands = Commands(
        current,
        job_commands,
        disk_retry,
        workers,
        dispatcher,
        intake,
        pause,
        status,
        Events(store, status),
        reloader,
        clock,
    )
    for apply in (intake.apply, dispatcher.apply, cluster.apply, timetable.apply, hooks.apply, exporter.apply):
        current.subscribe(apply)
    return App(
        settings=current,
        clock=clock,
        folders=folders,
        store=store,
        disk_retry=disk_retry,
        background=background,
        watcher=watcher,
        intake=intake,
        workers=workers,
        cluster=cluster,
        pools=pools,
        progress=progress,
        pause=pause,
        dispatcher=dispatcher,
        outcomes=outcomes,
        publishing=publishing,
        rebuild=Rebuild(store, folders),
        recovery=Recovery(store, folders, disk_retry, publishing, intake),
        retention=retention,
        backup=Backup(settings.database, folders.backups, post),
        timetable=timetable,
        notifier=notifier,
        hooks=hooks,
        exporter=exporter,
        feed=feed,
        control=ControlServer(settings.socket, post, feed.adopt),
        problems=problems,
        status=status,
        reloader=reloader,
        commands=commands,
    )

"""A small Django app with a Celery worker and beat, healthy and unhealthy in
the ways that Open Klant is. It is all in one module, which is

    app:application   for gunicorn,
    celery -A app     for the worker and beat,
    python app.py     for Django's commands, such as migrate.

The environment says where things are; see the names below.
"""

import os
from pathlib import Path

import celery
import django
from celery import bootsteps, signals
from django.conf import settings
from django.core.cache import cache
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.html import escape

env = os.environ.get

REDIS = env("REDIS_URL", "redis://localhost:6379")
# Files that tell how the worker and beat are.
WORKER_LIVE = Path(env("WORKER_LIVENESS_FILE", "/app/tmp/celery_worker_event_loop.live"))
WORKER_READY = Path(env("WORKER_READINESS_FILE", "/app/tmp/celery_worker.ready"))
BEAT_LIVE = Path(env("BEAT_LIVENESS_FILE", "/app/tmp/celery_beat.live"))
# Seconds from one touch of the worker's file to the next, and from one of
# beat's tasks to the next.
WORKER_LIVE_EVERY = float(env("WORKER_LIVENESS_EVERY", "60"))
BEAT_EVERY = float(env("BEAT_EVERY", "60"))

settings.configure(
    SECRET_KEY=env("SECRET_KEY", "of no use here, for nothing is signed"),
    # The checks come from inside the container, so they ask for localhost.
    ALLOWED_HOSTS=env("ALLOWED_HOSTS", "localhost,127.0.0.1").split(","),
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": env("DB_HOST", "localhost"),
            "PORT": env("DB_PORT", "5432"),
            "NAME": env("DB_NAME", "postgres"),
            "USER": env("DB_USER", "postgres"),
            "PASSWORD": env("DB_PASSWORD", ""),
            "OPTIONS": {"connect_timeout": 2},
        }
    },
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS + "/1",
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2},
        }
    },
)
django.setup()


# What the endpoints look at. Each raises an error when it is not well.


def look_at_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def look_at_cache():
    cache.set("healthz", "well", 10)
    if cache.get("healthz") != "well":
        raise RuntimeError("the cache forgets")


def look_at_migrations():
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        raise RuntimeError(f"not applied: {', '.join(str(m) for m, _ in waiting)}")


def look_at_broker():
    with queue.connection_for_read(connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1)


def endpoint(**looks):
    """A view that is 200 when nothing it looks at raises an error, else 500."""

    def view(request):
        errors = {}
        for name, look in looks.items():
            try:
                look()
            except Exception as error:
                errors[name] = str(error).strip() or type(error).__name__
        found = {name: errors.get(name, "ok") for name in looks}
        status = 500 if errors else 200
        wanted = request.GET.get("format") or request.headers.get("Accept", "")
        if "json" in wanted:
            return JsonResponse(found, status=status)
        rows = "".join(f"<li>{name}: {escape(text)}</li>" for name, text in found.items())
        return HttpResponse(f"<title>health</title><ul>{rows}</ul>", status=status)

    return view


needed = {"database": look_at_database, "cache": look_at_cache}
urlpatterns = [
    path("", lambda request: HttpResponse("hello")),
    path("_healthz/livez/", endpoint()),
    path("_healthz/readyz/", endpoint(**needed)),
    path("_healthz/", endpoint(**needed, migrations=look_at_migrations, broker=look_at_broker)),
]
application = get_wsgi_application()


queue = celery.Celery("app", broker=REDIS + "/0")
queue.conf.task_ignore_result = True
queue.conf.beat_schedule = {"tick": {"task": "app.tick", "schedule": BEAT_EVERY}}


@queue.task(name="app.tick")
def tick():
    """Does nothing, but shows that beat sends and the worker works."""


class LivenessFile(bootsteps.StartStopStep):
    """Touches a file as long as the worker's event loop turns.

    It is a step of the consumer, which starts anew with each connection to the
    broker. One of the worker would start once, and Celery forgets all timers
    when it loses the connection.
    """

    requires = {"celery.worker.consumer.connection:Connection"}

    def start(self, consumer):
        WORKER_LIVE.touch()
        consumer.timer.call_repeatedly(WORKER_LIVE_EVERY, WORKER_LIVE.touch)


queue.steps["consumer"].add(LivenessFile)


@signals.worker_ready.connect
def worker_ready(**_):
    WORKER_READY.touch()


@signals.worker_shutdown.connect
def worker_shutdown(**_):
    for file in (WORKER_LIVE, WORKER_READY):
        file.unlink(missing_ok=True)


@signals.beat_init.connect
def beat_init(**_):
    """Only beat's tasks count, not those that the app sends."""
    signals.after_task_publish.connect(lambda **_: BEAT_LIVE.touch(), weak=False)


if __name__ == "__main__":
    execute_from_command_line()

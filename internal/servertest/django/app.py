"""A small Django site, as gunicorn's app:application."""

import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from django.contrib.auth.decorators import login_required
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET


def hello(request):
    """Answers every method, as a view does that says nothing about them."""
    return HttpResponse("hello\n")


def broken(request):
    raise RuntimeError("this view is broken")


def api(request):
    """Wants a token, as Django REST framework says it."""
    answer = HttpResponse('{"detail":"Authentication credentials were not provided."}', "application/json", 401)
    answer["WWW-Authenticate"] = 'Bearer realm="api"'
    return answer


def slow(request, seconds):
    time.sleep(seconds)
    return HttpResponse("at last\n")


urlpatterns = [
    path("", hello),
    path("health_check", hello),
    path("health/", hello),
    path("get-only/", require_GET(hello)),
    path("private/", login_required(hello)),
    path("broken/", broken),
    path("api/", api),
    path("slow/<int:seconds>/", slow),
]
application = get_wsgi_application()

"""Django with psycopg: the migrations of its own applications, forward and back."""

import os

import django
import psycopg
from checks import PASSWORD, check, report, same
from django.conf import settings
from django.core.management import call_command

SCHEMA = f"django_{os.getpid()}"
report("version", django.__version__)


@check("run")
def _():
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute(f"create schema {SCHEMA}")
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": os.environ["PGDATABASE"],
                "USER": os.environ["PGUSER"],
                "PASSWORD": PASSWORD or "",
                "HOST": os.environ["PGHOST"],
                "PORT": os.environ["PGPORT"],
                "OPTIONS": {"options": f"-c search_path={SCHEMA}"},
            }
        },
    )
    django.setup()
    from django.contrib.auth.models import Permission, User

    call_command("migrate", verbosity=0)
    User.objects.create_user("alice")
    same((User.objects.count(), Permission.objects.count() > 0), (1, True))
    call_command("migrate", "auth", "zero", verbosity=0)
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute(f"drop schema {SCHEMA} cascade")

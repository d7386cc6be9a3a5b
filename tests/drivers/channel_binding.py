"""What libpq 18 says at the front door of a server about channel binding, one line for each TLS and setting."""

import os

import psycopg

secure = f"sslmode=verify-full sslrootcert={os.environ['CA']}"
TLS = {"request": secure, "direct": f"{secure} sslnegotiation=direct", "off": "sslmode=disable"}

for name, options in TLS.items():
    for binding in ("disable", "prefer", "require"):
        try:
            psycopg.connect(
                f"host=orders.db.example hostaddr=127.0.0.1 user=by_scram dbname=app channel_binding={binding} {options}"
            ).close()
            outcome = "connected"
        except psycopg.OperationalError as error:
            outcome = " ".join(str(error).split())
        print(f"{name} {binding}: {outcome}")

"""How gunicorn runs the app: ``gunicorn --config example_app/gunicorn.conf.py``.

An answer under way keeps a thread for as long as it streams. Threads are cheap, since they wait.
"""

import os

wsgi_app = "example_app:create_app()"
# Once for all workers: settings that are wrong stop the server at its start.
preload_app = True
worker_class = "gthread"
workers = 2
threads = 64
# The path without its query, which at the callback holds a code.
accesslog = "-"
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(M)s'
# What a worker writes now and then to show that it lives. Not to the disk of a container.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

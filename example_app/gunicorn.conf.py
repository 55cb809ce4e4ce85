"""How to serve streams with gunicorn: ``gunicorn --config example_app/gunicorn.conf.py``."""

import os

wsgi_app = "example_app:create_app()"
# Loaded once for all workers, so that wrong settings stop the server at its start.
preload_app = True
# A streamed answer occupies a thread. Threads are cheap, because they mostly wait.
worker_class = "gthread"
workers = 2
threads = 64
# The path without its query, because the callback's query contains a code.
accesslog = "-"
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(M)s'
# Workers write their heartbeat file here, not to the disk of a container.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

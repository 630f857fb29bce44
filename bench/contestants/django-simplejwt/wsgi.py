"""The app for gunicorn, by https://docs.djangoproject.com/en/5.2/howto/deployment/wsgi/gunicorn/."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
application = get_wsgi_application()

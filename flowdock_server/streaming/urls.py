from django.urls import include, path

from flowdock_server.urls import urlpatterns as everything_else

from .opening import api

# Sign-in, pages and the rest of the API are here too, as /oauth/token was on Flowdock's streaming host.
urlpatterns = [
    *everything_else[:-1],
    path("", api.urls),
    path("", include("flowdock_server.api.urls")),
]
